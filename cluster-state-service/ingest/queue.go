package ingest

import (
	"context"
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
	// Receive returns up to ten messages. It returns none if none arrive within the given time, in seconds up to longPoll.
	Receive(ctx context.Context, wait time.Duration) ([]Message, error)
	// Delete deletes up to ten messages.
	Delete(ctx context.Context, messages []Message) error
	// Extend keeps up to ten messages from being received again for the given time.
	Extend(ctx context.Context, messages []Message, visibility time.Duration) error
}
