package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// CallError is a failed request. Its text names the cause and, on a second line, the next step.
type CallError struct {
	service service
	err     error
}

func (c *CallError) Unwrap() error { return c.err }

// interrupted reports whether err only means that ctx ended.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// Temporary reports whether a retry may succeed: the service could not be reached, or returned 429, 502, 503 or 504.
func Temporary(err error) bool {
	var refused *ResponseError
	if errors.As(err, &refused) {
		return refused.Status == http.StatusServiceUnavailable || refused.Status == http.StatusTooManyRequests ||
			refused.Status == http.StatusBadGateway || refused.Status == http.StatusGatewayTimeout
	}
	var unsigned *noCredentials
	if errors.As(err, &unsigned) {
		return false
	}
	var unreachable net.Error
	return (errors.As(err, &unreachable) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)) && !isTLS(err)
}

func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	return errors.As(err, &verification) || errors.As(err, &alert) || errors.As(err, &record) ||
		strings.Contains(err.Error(), "remote error: tls:")
}

func (s service) wrap(ctx context.Context, err error) error {
	var already *CallError
	if errors.As(err, &already) || interrupted(ctx, err) {
		return err
	}
	if mayMaskAlert(err) {
		if alert := s.tlsAlert(ctx); alert != nil {
			err = alert
		}
	}
	return &CallError{s, err}
}

// Error explains the error: its cause and, on a second line, a hint.
func (c *CallError) Error() string {
	what, hint := c.explain()
	if hint == "" {
		return what
	}
	return what + "\n" + hint
}

// Summary returns the cause in one line, without the hint.
func (c *CallError) Summary() string {
	what, _ := c.explain()
	return what
}

func (c *CallError) explain() (what, hint string) {
	s := c.service
	where := s.name + " at " + s.endpoint
	address := fmt.Sprintf("set the address with %s URL or %s", s.flag, s.variable)

	var refused *ResponseError
	var unknownCA x509.UnknownAuthorityError
	var otherName x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var noName *net.DNSError
	var unsigned *noCredentials
	switch err := c.err; {
	case errors.As(err, &refused):
		return s.explainResponse(refused)
	case errors.As(err, &unsigned):
		return unsigned.Error(),
			"Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with \"aws sso login\"."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "no connection to " + where + ": connection refused", fmt.Sprintf(
			"Is it running? If so, %s. \"make local\" runs all of Blox on this machine.", address)
	case errors.As(err, &noName):
		return fmt.Sprintf("no such host: %s, for %s", noName.Name, where), sentence(address)
	case errors.As(err, &unknownCA):
		return "the certificate of " + where + " is signed by an unknown authority",
			"Set the trusted CAs with --ca FILE (BLOX_CA)."
	case errors.As(err, &otherName):
		return fmt.Sprintf("the certificate of %s has another name: %v", where, otherName),
			"Use a name of the certificate: " + s.flag + " https://NAME:PORT."
	case errors.As(err, &invalid):
		return fmt.Sprintf("the certificate of %s is not valid: %v", where, invalid), ""
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return where + " serves http, not https", "Use http:// in " + s.flag + "."
	case isTLS(err) && strings.Contains(err.Error(), "certificate"):
		if s.cfg.TLS.Cert == "" {
			return where + " requires a client certificate", "Set it with --cert FILE and --key FILE (BLOX_CERT, BLOX_KEY)."
		}
		return fmt.Sprintf("%s rejected the client certificate in %s: %v", where, s.cfg.TLS.Cert, unwrapURL(err)),
			"Set another with --cert and --key."
	case strings.Contains(err.Error(), "malformed HTTP response"):
		return where + " does not serve http", "If it serves https, use https:// in " + s.flag + "."
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return fmt.Sprintf("%s did not respond within %s", where, s.cfg.Timeout),
			"Raise the limit, as in --timeout 2m, or " + address + "."
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection to " + where + " was interrupted", "The service may be restarting: retry."
	}
	return where + ": " + unwrapURL(c.err).Error(), sentence(address)
}

func isTimeout(err error) bool {
	var timed net.Error
	return errors.As(err, &timed) && timed.Timeout()
}

// unwrapURL returns err without the URL that net/http adds.
func unwrapURL(err error) error {
	var around *url.Error
	if errors.As(err, &around) {
		return around.Err
	}
	return err
}

// explainResponse explains an error response; the service's own text comes first.
func (s service) explainResponse(r *ResponseError) (what, hint string) {
	text := gatewayMessage(r.Text)
	if text == "" {
		text = fmt.Sprintf("%s returned %d %s", s.name, r.Status, http.StatusText(r.Status))
	}
	switch r.Status {
	case http.StatusBadRequest:
		return s.explainBadRequest(text)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("%s at %s rejected the request: %s", s.name, s.endpoint, text), s.hintDenied(r.Status, text)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return s.explainNotFound(r.Status, text)
	case http.StatusConflict:
		if strings.HasSuffix(strings.ToLower(text), "is outdated") {
			return text, hintOutdatedToken
		}
		return text, ""
	case http.StatusServiceUnavailable:
		return s.explainUnavailable(text)
	case http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return fmt.Sprintf("%s at %s: %s", s.name, s.endpoint, text), "Retry in a moment."
	}
	if r.Status >= http.StatusInternalServerError {
		return fmt.Sprintf("%s: %s", s.name, text), "See its log."
	}
	return fmt.Sprintf("%s returned %d: %s", s.name, r.Status, text), ""
}

// hintStatuses names the statuses that --status accepts, as ECS documents them.
const hintStatuses = "Tasks: PROVISIONING, PENDING, ACTIVATING, RUNNING, DEACTIVATING, STOPPING, DEPROVISIONING, " +
	"STOPPED or DELETED.\nInstances: REGISTERING, REGISTRATION_FAILED, ACTIVE, DRAINING, DEREGISTERING or INACTIVE."

// hintDenied returns what to do about a 401 or 403.
func (s service) hintDenied(status int, text string) string {
	switch {
	case s.cfg.SigV4:
		return "Check that these credentials have the policy ApiPolicyArn and that --region is the API's region."
	case strings.Contains(text, " needs the role "):
		return "Use a token of that role: --token-file FILE, or BLOX_TOKEN."
	case status == http.StatusUnauthorized:
		return "Set a token that the service accepts: --token-file FILE, or BLOX_TOKEN."
	}
	return "Blox on AWS requires signed requests: use --sigv4."
}

func (s service) explainBadRequest(text string) (what, hint string) {
	switch lower := strings.ToLower(text); {
	case strings.Contains(lower, "http request to an https server"):
		return s.name + " at " + s.endpoint + " serves https, not http", "Use https:// in " + s.flag + "."
	case strings.HasPrefix(lower, "deployment with token"):
		return text, "This revision was deployed before. \"blox environments update\" creates a new one; " +
			"--force-new-deployment deploys it again."
	case strings.HasSuffix(lower, "is outdated"):
		return text, hintOutdatedToken
	case strings.Contains(lower, "already exists"):
		return text, "\"blox environments update\" changes an existing environment."
	case strings.Contains(lower, "in progress"):
		return text, "\"blox deployments watch\" watches it, \"blox deployments stop\" stops it."
	case lower == "invalid status":
		return text, hintStatuses
	case lower == "invalid entity version":
		return text, "It must be a whole number, such as VERSION in \"blox tasks list -o wide\"."
	case strings.Contains(lower, "version is out of range"):
		return text, "etcd no longer keeps that version, or was restored. " +
			"List again, and start the stream without --from."
	}
	return text, ""
}

func (s service) explainNotFound(status int, text string) (what, hint string) {
	switch lower := strings.ToLower(text); {
	case strings.Contains(lower, "page not found"), status == http.StatusMethodNotAllowed:
		return fmt.Sprintf("%s does not serve this path at %s: %d %s", s.name, s.endpoint, status, text),
			"Check the address: " + s.flag + " URL or " + s.variable + "."
	case strings.HasPrefix(lower, "environment "):
		return text, "\"blox environments list\" lists the environments."
	case strings.HasPrefix(lower, "deployment "):
		return text, "\"blox deployments list ENVIRONMENT\" lists the deployments."
	case strings.HasPrefix(lower, "cluster "), strings.HasPrefix(lower, "taskdefinition "):
		return text, "daemon-scheduler searched ECS in its own region and account."
	}
	return text, ""
}

func (s service) explainUnavailable(text string) (what, hint string) {
	hint = "Retry in a moment; \"blox status\" shows more."
	switch lower := strings.ToLower(text); {
	case strings.HasPrefix(lower, "aws rejects the credentials"):
		hint = "Renew the AWS credentials of the service. If the code names the time, correct the clock of its machine."
	case strings.HasPrefix(lower, "ecs denies access"):
		hint = "Allow the action in the IAM policy of the service, or of the environment's role."
	case strings.Contains(lower, "reconciled"):
		hint = "The service has just started and reads all clusters first. " +
			"Retry in a moment; \"blox status\" shows its progress."
	case strings.Contains(lower, "etcd"):
		hint = "The service recovers when etcd does; \"blox status\" shows more."
	}
	return s.name + ": " + text, hint
}

// hintOutdatedToken explains a deployment token that is not the environment's current one.
const hintOutdatedToken = "The environment has changed since you read the token. Review it, then repeat the command " +
	"without --token or with the new one."

// gatewayMessage returns the text of an error response. API Gateway wraps its texts in JSON.
func gatewayMessage(text string) string {
	var body struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(text), &body); err == nil && body.Message != "" {
		return body.Message
	}
	return text
}

// sentence makes a hint a sentence of its own.
func sentence(hint string) string { return strings.ToUpper(hint[:1]) + hint[1:] + "." }
