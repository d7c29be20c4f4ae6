package ingest

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// The services that deliver events.
const (
	ServiceSQS     = "sqs"
	ServiceKinesis = "kinesis"
)

// Source is the queue or stream that --queue names.
type Source struct {
	Service string // ServiceSQS or ServiceKinesis
	Name    string // of the queue or stream
	Region  string // empty: the service's own
	Account string // of the queue's owner; empty: the service's own
	URL     string // of the queue; empty: to be looked up
	ARN     string // of the stream; empty: the stream is of the service's own account
}

// Source: QueueName in the Amazon SQS API Reference, StreamName in the Amazon Kinesis Data Streams API Reference.
var (
	queueName  = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)
	streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)
	account    = regexp.MustCompile(`^[0-9]{12}$`)
	region     = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
)

const sourceForms = "want a queue's name, URL or ARN, or kinesis:// and a stream's name or ARN"

// ParseSource parses a --queue value. An SQS queue has a name, sqs://name, a URL or an ARN. A Kinesis stream has
// kinesis://name or an ARN, with or without kinesis://.
func ParseSource(s string) (source Source, err error) {
	scheme, rest, found := strings.Cut(s, "://")
	switch {
	case strings.HasPrefix(s, "arn:"):
		source, err = parseSourceARN(s)
	case !found:
		source = Source{Service: ServiceSQS, Name: s}
	case scheme == "https", scheme == "http":
		source, err = parseQueueURL(s)
	case scheme != ServiceSQS && scheme != ServiceKinesis:
		err = fmt.Errorf("unknown service %q; %s", scheme, sourceForms)
	case strings.HasPrefix(rest, "arn:"):
		if source, err = parseSourceARN(rest); err == nil && source.Service != scheme {
			err = fmt.Errorf("the ARN is one of %s", source.Service)
		}
	default:
		source = Source{Service: scheme, Name: rest}
	}
	if err == nil {
		err = source.validate()
	}
	if err != nil {
		return Source{}, fmt.Errorf("queue %q: %w", s, err)
	}
	return source, nil
}

func parseSourceARN(s string) (Source, error) {
	parsed, err := arn.Parse(s)
	if err != nil {
		return Source{}, fmt.Errorf("malformed ARN; %s", sourceForms)
	}
	source := Source{Service: parsed.Service, Region: parsed.Region, Account: parsed.AccountID, Name: parsed.Resource}
	switch parsed.Service {
	case ServiceSQS:
	case ServiceKinesis:
		stream, found := strings.CutPrefix(parsed.Resource, "stream/")
		if !found {
			return Source{}, errors.New("the ARN is not one of a stream")
		}
		source.Name, source.ARN = stream, s
	default:
		return Source{}, fmt.Errorf("the ARN is one of %q, not of sqs or kinesis", parsed.Service)
	}
	if !region.MatchString(source.Region) || !account.MatchString(source.Account) {
		return Source{}, errors.New("the ARN has no valid region and account")
	}
	return source, nil
}

// parseQueueURL accepts https://sqs.<region>.amazonaws.com/<account>/<name>, and the URLs of other implementations of
// SQS that end in /<account>/<name>, whose region is the service's own.
func parseQueueURL(s string) (Source, error) {
	parsed, err := url.Parse(s)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return Source{}, errors.New("malformed URL, want https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
	}
	parts := strings.Split(strings.Trim(parsed.Path, "/"), "/")
	if len(parts) != 2 || !account.MatchString(parts[0]) {
		return Source{}, errors.New("the URL does not end in /ACCOUNT/NAME")
	}
	source := Source{Service: ServiceSQS, Account: parts[0], Name: parts[1], URL: s}
	labels := strings.Split(parsed.Hostname(), ".")
	if len(labels) > 2 && labels[0] == "sqs" && region.MatchString(labels[1]) {
		source.Region = labels[1]
	}
	return source, nil
}

func (s Source) validate() error {
	switch {
	case s.Service == ServiceKinesis && !streamName.MatchString(s.Name):
		return fmt.Errorf("%q is not a Kinesis stream's name; %s", s.Name, sourceForms)
	case s.Service == ServiceSQS && !queueName.MatchString(strings.TrimSuffix(s.Name, ".fifo")):
		return fmt.Errorf("%q is not a queue's name; %s", s.Name, sourceForms)
	}
	return nil
}
