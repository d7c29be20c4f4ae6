package ecssim

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"
)

const formContentType = "application/x-www-form-urlencoded"

// roles holds the IAM roles that were assumed. Every role can be assumed, unless a fault refuses it.
type roles struct {
	externalIDs map[string]string      // that AssumeRole must name, by role ARN
	sessions    map[string]roleSession // by access key
	calls       map[string]map[string]int
}

// roleSession is what temporary credentials stand for.
type roleSession struct {
	role      string // ARN
	expiresAt time.Time
}

func newRoles() roles {
	return roles{
		externalIDs: map[string]string{}, sessions: map[string]roleSession{}, calls: map[string]map[string]int{},
	}
}

var (
	rolePattern   = regexp.MustCompile(`^arn:[a-z0-9-]+:iam::(\d{12}):role/([\w+=,.@/-]{1,576})$`)
	signerPattern = regexp.MustCompile(`Credential=([A-Za-z0-9]+)/`)
)

// RequireExternalID makes AssumeRole of a role fail without that external ID.
func (s *Sim) RequireExternalID(role, externalID string) error {
	if !rolePattern.MatchString(role) {
		return fmt.Errorf("role %.300q is not the ARN of an IAM role", role)
	}
	s.lock()
	defer s.unlock()
	s.roles.externalIDs[role] = externalID
	return nil
}

// RoleCalls returns how often an action was called with credentials of a role; of other credentials if it is empty.
func (s *Sim) RoleCalls(role, action string) int {
	s.lock()
	defer s.unlock()
	return s.roles.calls[role][action]
}

func (s *Sim) countRoleCall(role, action string) {
	s.lock()
	defer s.unlock()
	if s.roles.calls[role] == nil {
		s.roles.calls[role] = map[string]int{}
	}
	s.roles.calls[role][action]++
}

// ExpireRoles makes all credentials of roles expire.
func (s *Sim) ExpireRoles() {
	s.lock()
	defer s.unlock()
	for key, session := range s.roles.sessions {
		session.expiresAt = time.Time{}
		s.roles.sessions[key] = session
	}
}

// signer returns the role whose credentials sign a request; empty for credentials that AssumeRole has not returned.
func (s *Sim) signer(r *http.Request) (role string, err error) {
	if role, known := r.Context().Value(roleKey{}).(string); known {
		return role, nil
	}
	match := signerPattern.FindStringSubmatch(r.Header.Get("Authorization"))
	if match == nil {
		return "", nil
	}
	s.lock()
	defer s.unlock()
	session, known := s.roles.sessions[match[1]]
	if known && !time.Now().Before(session.expiresAt) {
		return session.role, refusals["ExpiredTokenException"]
	}
	return session.role, nil
}

func (s *Sim) postRole(q url.Values, _ *http.Request) (any, error) {
	return map[string]string{"role": q.Get("role")}, s.RequireExternalID(q.Get("role"), q.Get("externalId"))
}

// stsActions maps the simulated STS actions to their handlers.
var stsActions = map[string]actionHandler{"AssumeRole": ecsAction((*Sim).assumeRole)}

// routeSTS returns the call of a request in the AWS query protocol. STS alone uses it here.
func routeSTS(body []byte) call {
	form, _ := url.ParseQuery(string(body))
	action := form.Get("Action")
	return call{serviceSTS, action, action, stsActions[action], queryProtocol{action}}
}

type assumeRoleInput struct {
	RoleArn, RoleSessionName, ExternalId string //nolint:revive // the API's name
	DurationSeconds                      string
	Action, Version                      ignored `why:"the router has read them"`
}

const defaultSession = 3600 // seconds

func (s *Sim) assumeRole(in assumeRoleInput) (any, error) {
	match := rolePattern.FindStringSubmatch(in.RoleArn)
	seconds := defaultSession
	if in.DurationSeconds != "" {
		seconds, _ = strconv.Atoi(in.DurationSeconds)
	}
	switch {
	case match == nil, in.RoleSessionName == "":
		return nil, &apiError{code: "ValidationError", message: in.RoleArn + " is invalid, or RoleSessionName is missing."}
	case seconds < 900 || seconds > 43200:
		return nil, &apiError{code: "ValidationError", message: "DurationSeconds must be between 900 and 43200."}
	case s.roles.externalIDs[in.RoleArn] != "" && s.roles.externalIDs[in.RoleArn] != in.ExternalId:
		return nil, &apiError{code: "AccessDenied", status: http.StatusForbidden,
			message: "The caller is not authorized to perform sts:AssumeRole on " + in.RoleArn + "."}
	}
	id := bytes.ToUpper(bytes.ReplaceAll([]byte(uuid.NewString()), []byte("-"), nil))
	key := "ASIA" + string(id[:16])
	session := ":assumed-role/" + match[2] + "/" + in.RoleSessionName
	expiresAt := time.Now().Add(time.Duration(seconds) * time.Second)
	s.roles.sessions[key] = roleSession{in.RoleArn, expiresAt}
	return map[string]any{
		"AccessKeyId": key, "SecretAccessKey": "secret", "SessionToken": "token", "Expiration": expiresAt.UTC(),
		"Arn":           "arn:" + s.cfg.Partition + ":sts::" + match[1] + session,
		"AssumedRoleId": "AROASIMULATED:" + in.RoleSessionName,
	}, nil
}

// queryProtocol is the AWS query protocol of STS: a form, answered in XML.
type queryProtocol struct{ action string }

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

func (queryProtocol) decode(body []byte) ([]byte, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errSerialization
	}
	fields := map[string]string{}
	for name := range form {
		fields[name] = form.Get(name)
	}
	return json.Marshal(fields)
}

// assumeRoleResult has the fields of assumeRole in the order of STS.
type assumeRoleResult struct {
	XMLName     xml.Name `xml:"AssumeRoleResponse" json:"-"`
	Namespace   string   `xml:"xmlns,attr" json:"-"`
	Credentials struct {
		AccessKeyId, SecretAccessKey, SessionToken, Expiration string //nolint:revive // the API's names
	} `xml:"AssumeRoleResult>Credentials" json:"-"`
	AssumedRoleUser struct {
		Arn, AssumedRoleId string //nolint:revive // the API's names
	} `xml:"AssumeRoleResult>AssumedRoleUser" json:"-"`
}

func (queryProtocol) encode(asJSON []byte) []byte {
	result := assumeRoleResult{Namespace: stsNamespace}
	_ = json.Unmarshal(asJSON, &result.Credentials)
	_ = json.Unmarshal(asJSON, &result.AssumedRoleUser)
	body, _ := xml.Marshal(result)
	return body
}

func (queryProtocol) encodeError(e *apiError, status int, _ http.Header) []byte {
	type description struct{ Type, Code, Message string }
	fault := "Sender"
	if status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	body, _ := xml.Marshal(struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Namespace string   `xml:"xmlns,attr"`
		Error     description
	}{Namespace: stsNamespace, Error: description{fault, e.code, e.message}})
	return body
}

func (queryProtocol) setContentType(header http.Header) { header.Set("Content-Type", "text/xml") }
