package ingest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Message is one event as its queue delivered it.
type Message struct {
	ID     string // the queue's own, for the log
	Body   []byte
	Handle string    // what Delete needs
	Sent   time.Time // when the queue got it; zero when it did not say
}

// Queue is what Consume needs of SQS.
type Queue interface {
	// Receive waits for up to ten messages; none after a while is no error.
	Receive(ctx context.Context) ([]Message, error)
	// Delete takes messages, ten at the most, out of the queue for good.
	Delete(ctx context.Context, messages []Message) error
}

// The services that events can come from, as ParseQueue tells them.
const (
	ServiceSQS     = "sqs"
	ServiceKinesis = "kinesis"
)

// streamName is Kinesis's rule. Source: StreamName in the Amazon Kinesis Data Streams API Reference.
var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// ParseQueue splits a --queue value, name or sqs://name or kinesis://name, into its service and name.
func ParseQueue(s string) (service, name string, err error) {
	service, name, found := strings.Cut(s, "://")
	if !found {
		service, name = ServiceSQS, s
	}
	switch {
	case service != ServiceSQS && service != ServiceKinesis:
		return "", "", fmt.Errorf("queue %q: unknown service %q, want sqs://<name> or kinesis://<name>", s, service)
	case name == "" || strings.ContainsAny(name, "/ "):
		return "", "", fmt.Errorf("queue %q: no name of a queue", s)
	case service == ServiceKinesis && !streamName.MatchString(name):
		return "", "", fmt.Errorf("queue %q: no name of a Kinesis stream", s)
	}
	return service, name, nil
}
