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

// Address is where a queue or stream is that delivers events.
type Address struct {
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

const addressForms = "want a queue's name, URL or ARN, or kinesis:// and a stream's name or ARN"

// ParseAddress parses the value of --queue, or the queue of a source. An SQS queue has a name, sqs://name, a URL or an
// ARN. A Kinesis stream has kinesis://name or an ARN, with or without kinesis://.
func ParseAddress(s string) (address Address, err error) {
	scheme, rest, found := strings.Cut(s, "://")
	switch {
	case strings.HasPrefix(s, "arn:"):
		address, err = parseAddressARN(s)
	case !found:
		address = Address{Service: ServiceSQS, Name: s}
	case scheme == "https", scheme == "http":
		address, err = parseQueueURL(s)
	case scheme != ServiceSQS && scheme != ServiceKinesis:
		err = fmt.Errorf("unknown service %q; %s", scheme, addressForms)
	case strings.HasPrefix(rest, "arn:"):
		if address, err = parseAddressARN(rest); err == nil && address.Service != scheme {
			err = fmt.Errorf("the ARN is one of %s", address.Service)
		}
	default:
		address = Address{Service: scheme, Name: rest}
	}
	if err == nil {
		err = address.validate()
	}
	if err != nil {
		return Address{}, fmt.Errorf("queue %q: %w", s, err)
	}
	return address, nil
}

func parseAddressARN(s string) (Address, error) {
	parsed, err := arn.Parse(s)
	if err != nil {
		return Address{}, fmt.Errorf("malformed ARN; %s", addressForms)
	}
	address := Address{Service: parsed.Service, Region: parsed.Region, Account: parsed.AccountID, Name: parsed.Resource}
	switch parsed.Service {
	case ServiceSQS:
	case ServiceKinesis:
		stream, found := strings.CutPrefix(parsed.Resource, "stream/")
		if !found {
			return Address{}, errors.New("the ARN is not one of a stream")
		}
		address.Name, address.ARN = stream, s
	default:
		return Address{}, fmt.Errorf("the ARN is one of %q, not of sqs or kinesis", parsed.Service)
	}
	if !region.MatchString(address.Region) || !account.MatchString(address.Account) {
		return Address{}, errors.New("the ARN has no valid region and account")
	}
	return address, nil
}

// parseQueueURL accepts https://sqs.<region>.amazonaws.com/<account>/<name>, and the URLs of other implementations of
// SQS that end in /<account>/<name>, whose region is the service's own.
func parseQueueURL(s string) (Address, error) {
	parsed, err := url.Parse(s)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return Address{}, errors.New("malformed URL: must be https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
	}
	parts := strings.Split(strings.Trim(parsed.Path, "/"), "/")
	if len(parts) != 2 || !account.MatchString(parts[0]) {
		return Address{}, errors.New("the URL does not end in /ACCOUNT/NAME")
	}
	address := Address{Service: ServiceSQS, Account: parts[0], Name: parts[1], URL: s}
	labels := strings.Split(parsed.Hostname(), ".")
	if len(labels) > 2 && labels[0] == "sqs" && region.MatchString(labels[1]) {
		address.Region = labels[1]
	}
	return address, nil
}

func (a Address) validate() error {
	switch {
	case a.Service == ServiceKinesis && !streamName.MatchString(a.Name):
		return fmt.Errorf("%q is not a Kinesis stream's name; %s", a.Name, addressForms)
	case a.Service == ServiceSQS && !queueName.MatchString(strings.TrimSuffix(a.Name, ".fifo")):
		return fmt.Errorf("%q is not a queue's name; %s", a.Name, addressForms)
	}
	return nil
}
