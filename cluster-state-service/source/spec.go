// Package source runs what cluster-state-service needs for each account and region that it serves: AWS clients with
// an API budget, a reconciler, and a consumer of events if the source has a queue. Sources start and stop while the
// service runs when the file that lists them changes.
package source

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/internal/arn"
)

// Spec is the configuration of a source: an account and region to serve.
type Spec struct {
	Region     string `yaml:"region"`
	Role       string `yaml:"role"`        // ARN of the IAM role to assume; empty for the service's own credentials
	ExternalID string `yaml:"external-id"` // that the role's trust policy requires; empty for none
	Queue      string `yaml:"queue"`       // as --queue; empty if the events arrive in the queue of another source
}

// accepted describes the keys of a source in errors.
const accepted = "accepted: region, role, external-id, queue"

// Parse parses the value of --source: key=value pairs, separated by commas.
func Parse(s string) (spec Spec, err error) {
	fields := map[string]*string{
		"region": &spec.Region, "role": &spec.Role, "external-id": &spec.ExternalID, "queue": &spec.Queue,
	}
	for pair := range strings.SplitSeq(s, ",") {
		key, value, found := strings.Cut(pair, "=")
		field, known := fields[key]
		switch {
		case !known:
			return spec, fmt.Errorf("unknown key %.100q; %s", key, accepted)
		case !found || value == "":
			return spec, fmt.Errorf("%s has no value", key)
		case *field != "":
			return spec, fmt.Errorf("%s is repeated", key)
		}
		*field = value
	}
	return spec, spec.validate()
}

// String returns the value of --source, without the external ID, which is a secret.
func (s Spec) String() string {
	text := "region=" + s.Region
	if s.Role != "" {
		text += ",role=" + s.Role
	}
	if s.Queue != "" {
		text += ",queue=" + s.Queue
	}
	return text
}

// Name identifies the source in logs, metrics and reasons: <account>/<region> for a role, and <region> for the
// service's own credentials, whose account is not known before a call.
func (s Spec) Name() string {
	if account := s.role().Account; account != "" {
		return account + "/" + s.Region
	}
	return s.Region
}

// role returns the parts of the role's ARN; zero without a role.
func (s Spec) role() arn.Role {
	role, _ := arn.ParseRole(s.Role)
	return role
}

// Source: AssumeRole in the AWS Security Token Service API Reference.
var externalID = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)

const maxExternalID = 1224

func (s Spec) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.Region == "" {
		problem("region is missing; want a region such as eu-west-1")
	} else if !arn.IsRegion(s.Region) {
		problem("region %.100q: want a region such as eu-west-1", s.Region)
	}
	if s.Role != "" && s.role() == (arn.Role{}) {
		problem("role %.300q: want the ARN of an IAM role, such as arn:aws:iam::123456789012:role/blox", s.Role)
	}
	if s.ExternalID != "" && s.Role == "" {
		problem("external-id is only for a source with a role")
	} else if s.ExternalID != "" && (!externalID.MatchString(s.ExternalID) || len(s.ExternalID) > maxExternalID) {
		problem("external-id: want 2 to 1224 letters, digits and characters of _+=,.@:/-")
	}
	if s.Queue != "" {
		if _, err := ingest.ParseAddress(s.Queue); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// Validate checks sources that are valid each.
func Validate(specs []Spec) error {
	names, queues := map[string]bool{}, map[string]string{}
	for _, s := range specs {
		if names[s.Name()] {
			return fmt.Errorf("two sources are of %s; list each account and region once", s.Name())
		}
		names[s.Name()] = true
		if s.Queue == "" {
			continue
		}
		queue := s.queue()
		if other, given := queues[queue]; given {
			return fmt.Errorf("sources %s and %s have the same queue %s; give it to one of them: events of every account "+
				"and region may arrive in it", other, s.Name(), s.Queue)
		}
		queues[queue] = s.Name()
	}
	if len(queues) == 0 {
		return errors.New("no source has a queue; set the queue of at least one source")
	}
	return nil
}

// queue identifies the source's queue or stream among those of all sources.
func (s Spec) queue() string {
	if strings.Contains(s.Queue, ":") && !strings.HasPrefix(s.Queue, "sqs://") &&
		!strings.HasPrefix(s.Queue, "kinesis://") || strings.Contains(s.Queue, "arn:") {
		return s.Queue // a URL or an ARN
	}
	return s.Name() + " " + s.Queue
}
