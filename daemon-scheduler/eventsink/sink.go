// Package eventsink sends events to receivers outside Blox: an event bus of EventBridge, and a webhook. The leader
// sends each event at least once. It stores in etcd how far it has come, so that the next leader continues from there.
package eventsink

import (
	"context"
	"errors"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
)

// errRejected means that the receiver will never accept the event.
var errRejected = errors.New("the receiver rejects the event")

// sink sends messages to one receiver.
type sink interface {
	name() string   // of the metrics' label and of the record in etcd
	batchSize() int // the most messages of one send
	// send returns an error for each message that was not accepted, by its index. It wraps errRejected if no later try
	// can succeed.
	send(ctx context.Context, messages []message) map[int]error
}

// message is an event as it is sent.
type message struct {
	event environment.Event
	body  []byte // JSON
}

// id identifies the message: repetitions have the same one. If more events have been merged since, it is another.
func (m message) id() string { return m.event.ID + "@" + events.PositionOf(m.event).String() }
