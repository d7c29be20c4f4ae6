package events

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// mergeTime is how long after the start of its batch an event of a task may still be merged or written.
const mergeTime = batchAge + writeTimeout

// Delivered is how far events have been sent to a receiver: all up to the positions, one for each class. Events of
// tasks are sent only when they are no longer merged, so the others do not wait for them.
type Delivered struct {
	Tasks, Changes Position
}

// DeliveredUpTo returns what a receiver has that needs no earlier event.
func DeliveredUpTo(p Position) Delivered { return Delivered{p, p} }

// With returns d with one more event.
func (d Delivered) With(e environment.Event) Delivered {
	if classOfBatch(e.ID) == tasks {
		d.Tasks = PositionOf(e)
	} else {
		d.Changes = PositionOf(e)
	}
	return d
}

func (d Delivered) of(c class) Position {
	if c == tasks {
		return d.Tasks
	}
	return d.Changes
}

// Undelivered are events to send.
type Undelivered struct {
	Events []environment.Event
	// NextAt is when more events may be sent although nothing changes; zero: not before a change.
	NextAt time.Time
	// Removed is the position up to which events that were not sent have been removed; zero if there is none.
	Removed Position
}

// Undelivered returns events to send next, at most limit, each class in the order of its changes.
func (s *Store) Undelivered(d Delivered, limit int, now time.Time) (u Undelivered, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.synced {
		return u, environment.ErrStoreUnavailable
	}
	for _, c := range []class{changes, tasks} { // changes of users do not wait for many events of tasks
		after := d.of(c)
		if after.Revision < s.removed[c] {
			u.Removed = endOf(max(u.Removed.Revision, s.removed[c]))
		}
		for _, e := range s.after(after, c) {
			if due := mergedAt(e); c == tasks && now.Before(due) {
				u.NextAt = due
				break
			}
			u.Events = append(u.Events, e)
		}
	}
	u.Events = u.Events[:min(limit, len(u.Events))]
	return u, nil
}

// mergedAt returns when the batch of an event is no longer changed. A batch from the future has a wrong clock and is
// not waited for.
func mergedAt(e environment.Event) time.Time {
	nanoseconds, _, _ := strings.Cut(e.ID, "-")
	began, err := strconv.ParseInt(nanoseconds, 10, 64)
	if err != nil || time.Until(time.Unix(0, began)) > batchAge {
		return time.Time{}
	}
	return time.Unix(0, began).Add(mergeTime)
}

// after returns the events of some classes that changed after a position, in the order of their changes. Its callers
// hold the lock.
func (s *Store) after(p Position, of ...class) (list []environment.Event) {
	for id, b := range s.batches {
		if b.revision < p.Revision || len(of) > 0 && !slices.Contains(of, classOfBatch(id)) {
			continue
		}
		for _, e := range b.events {
			if PositionOf(e).Compare(p) > 0 {
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b environment.Event) int { return PositionOf(a).Compare(PositionOf(b)) })
	return list
}
