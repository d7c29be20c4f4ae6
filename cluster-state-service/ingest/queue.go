package ingest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Message is an event as the queue or stream delivered it.
type Message struct {
	ID     string // identifies the message in the log
	Body   []byte
	Handle string    // the receipt handle, which Delete needs
	Sent   time.Time // when the queue received the message; zero if unknown
}

// Queue is a message queue. SQS implements it.
type Queue interface {
	// Receive waits for up to ten messages. It returns none if none arrive within a while.
	Receive(ctx context.Context) ([]Message, error)
	// Delete deletes up to ten messages.
	Delete(ctx context.Context, messages []Message) error
}

// The services that deliver events.
const (
	ServiceSQS     = "sqs"
	ServiceKinesis = "kinesis"
)

// streamName is what Kinesis accepts. Source: StreamName in the Amazon Kinesis Data Streams API Reference.
var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// ParseQueue splits a --queue value, name or sqs://name or kinesis://name, into service and name.
func ParseQueue(s string) (service, name string, err error) {
	service, name, found := strings.Cut(s, "://")
	if !found {
		service = ServiceSQS
		name = s
	}
	switch {
	case service != ServiceSQS && service != ServiceKinesis:
		return "", "", fmt.Errorf("queue %q: unknown service %q, want sqs://<name> or kinesis://<name>", s, service)
	case name == "" || strings.ContainsAny(name, "/ "):
		return "", "", fmt.Errorf("queue %q: not a queue name", s)
	case service == ServiceKinesis && !streamName.MatchString(name):
		return "", "", fmt.Errorf("queue %q: not a Kinesis stream name", s)
	}
	return service, name, nil
}
