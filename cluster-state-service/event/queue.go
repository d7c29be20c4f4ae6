package event

import (
	"context"
	"fmt"
	"strings"
)

// Message is one event as its queue delivered it.
type Message struct {
	ID     string // the queue's own, for the log
	Body   []byte
	Handle string // what Delete needs
}

// Queue is what Consume needs of SQS.
type Queue interface {
	// Receive waits for up to ten messages; none after a while is no error.
	Receive(ctx context.Context) ([]Message, error)
	// Delete takes messages, ten at the most, out of the queue for good.
	Delete(ctx context.Context, messages []Message) error
}

// ParseQueue splits a --queue value, name or sqs://name or kinesis://name, into its service and name.
func ParseQueue(s string) (service, name string, err error) {
	service, name, found := strings.Cut(s, "://")
	if !found {
		service, name = "sqs", s
	}
	switch {
	case name == "" || strings.ContainsAny(name, "/ "):
		return "", "", fmt.Errorf("queue %q: no name of a queue", s)
	case service == "kinesis":
		return "", "", fmt.Errorf("queue %q: Kinesis streams cannot be read yet, only SQS queues", s)
	case service != "sqs":
		return "", "", fmt.Errorf("queue %q: unknown service %q, want sqs://<name>", s, service)
	}
	return service, name, nil
}
