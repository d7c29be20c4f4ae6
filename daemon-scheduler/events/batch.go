package events

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// class is one of two kinds of events. Each has bounds of its own, as a storm of events of tasks must not displace what
// users did.
type class int

const (
	tasks   class = iota // events of tasks and conditions, which are many and are merged
	changes              // changes of environments and deployments: the audit trail and its outcome
	classes              // the number of classes
)

// bounds limit the events of a class in etcd. A batch holds at most 20 events.
type bounds struct {
	events int
	bytes  int // of their records
}

var classBounds = [classes]bounds{
	tasks:   {events: 4_000, bytes: 8 << 20},
	changes: {events: 10_000, bytes: 16 << 20},
}

// changesPrefix begins the ids of batches of changes.
const changesPrefix = "change-"

func classOf(action environment.EventAction) class {
	if action.Repeats() {
		return tasks
	}
	return changes
}

func classOfBatch(id string) class {
	if strings.HasPrefix(id, changesPrefix) {
		return changes
	}
	return tasks
}

// Batch holds the events of one record in etcd.
type Batch struct {
	ID       string // grows with time within its class
	Events   []environment.Event
	Revision int64 // of etcd, in which the record was written last; 0: not written
}

func newBatch(c class, now time.Time) Batch {
	id := fmt.Sprintf("%020d-%s", now.UnixNano(), uuid.NewString()[:8])
	if c == changes {
		id = changesPrefix + id
	}
	return Batch{ID: id}
}

// written reports whether etcd has all events as they are.
func (b Batch) written() bool {
	return !slices.ContainsFunc(b.Events, func(e environment.Event) bool { return e.Revision == 0 })
}

// setRevision records that etcd has the batch since a revision.
func (b *Batch) setRevision(revision int64) {
	b.Revision = revision
	for i := range b.Events {
		b.Events[i].Revision = cmp.Or(b.Events[i].Revision, revision)
	}
}

// adopt records what etcd has of the batch since a revision: an earlier write whose outcome was not known.
func (b *Batch) adopt(stored []environment.Event, revision int64) {
	b.Revision = revision
	for i := range b.Events {
		b.Events[i].Revision = 0
		if i < len(stored) && stored[i].Count == b.Events[i].Count &&
			stored[i].LastSeenAt.Equal(b.Events[i].LastSeenAt) {
			b.Events[i].Revision = cmp.Or(stored[i].Revision, revision)
		}
	}
}
