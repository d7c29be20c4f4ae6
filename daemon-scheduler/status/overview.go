package status

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Sections of the overview. An environment's section is its name after environmentSection.
const (
	eventSection       = "events"
	readinessSection   = "readiness"
	environmentSection = "environment/"
)

// The overview shows the newest events: a number of all, and so many of each environment.
const (
	shownEvents       = 500
	shownEventsOfEach = 60
)

const (
	overviewPeriod    = 2 * time.Second // between two checks of what changes with time
	readinessInterval = 2 * time.Second // between two reads of who leads
)

// overview streams all environments, the events and the readiness of this replica.
type overview struct {
	status    *Status
	publisher *publisher
	current   bool // as the publisher has computed it last; used by the publisher alone
	wake      chan struct{}

	mu        sync.Mutex
	readiness *Readiness // nil until it is read
}

func (o *overview) init(s *Status) {
	o.status = s
	o.wake = make(chan struct{}, 1)
	o.publisher = newPublisher(o.source())
}

// WatchOverview yields environments, events and the readiness of this replica as lines of the encoder, then their
// changes. If heartbeat is above zero, it also yields the state once in each such time. It ends when ctx ends.
func (s *Status) WatchOverview(ctx context.Context, heartbeat time.Duration) iter.Seq2[[]byte, error] {
	return s.overview.publisher.Read(ctx, heartbeat)
}

// run reads the readiness while there are readers. It takes up to a second if etcd does not respond, so the publisher,
// which computes under a lock, only shows the result.
func (o *overview) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake:
		}
		for o.publisher.active() && ctx.Err() == nil {
			readiness := o.status.Readiness(ctx)
			o.setReadiness(&readiness)
			o.publisher.Invalidate(readinessSection)
			select {
			case <-ctx.Done():
			case <-o.wake:
			case <-time.After(readinessInterval):
			}
		}
	}
}

// activated discards a readiness that was read long ago, and makes run read it.
func (o *overview) activated() {
	o.setReadiness(nil)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *overview) setReadiness(r *Readiness) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.readiness = r
}

func (o *overview) environmentChanged(name string) { o.publisher.Invalidate(environmentSection + name) }

func (o *overview) eventsChanged() { o.publisher.Invalidate(eventSection) }

func (o *overview) source() source {
	encoder := o.status.Encoder
	return source{
		sections: func() []string { return append(o.environmentSections(), eventSection, readinessSection) },
		rows:     o.rows,
		deletedLine: func(section, _ string) []byte {
			if name, ok := strings.CutPrefix(section, environmentSection); ok {
				return encoder.EnvironmentDeleted(name)
			}
			return nil
		},
		stateLine: encoder.State,
		current:   o.status.current,
		counted:   func(section string) bool { return strings.HasPrefix(section, environmentSection) },
		periodic:  o.periodic,
		period:    overviewPeriod,
		activated: o.activated,
	}
}

// periodic returns all environments: their counts change with time, and come and go as the caches become current or
// stale. Most summaries stay valid, so this costs little.
func (o *overview) periodic() []string {
	sections := o.environmentSections()
	if current := o.status.current(); current != o.current {
		o.current = current
		sections = append(sections, readinessSection)
	}
	return sections
}

func (o *overview) environmentSections() (sections []string) {
	for _, name := range o.status.Cache.Names() {
		sections = append(sections, environmentSection+name)
	}
	return sections
}

func (o *overview) rows(section string) ([]row, bool, error) {
	switch section {
	case eventSection:
		return o.eventRows()
	case readinessSection:
		return o.readinessRows()
	}
	return o.environmentRow(strings.TrimPrefix(section, environmentSection))
}

func (o *overview) environmentRow(name string) ([]row, bool, error) {
	e, err := o.status.Cache.Record(name)
	if errors.Is(err, environment.ErrNotFound) {
		return nil, true, nil
	}
	if err != nil { // malformed, as the log says
		return nil, false, nil
	}
	observed := o.status.Observe(e)
	line := func() []byte { return o.status.Encoder.Environment(e, observed) }
	version := environmentVersion{e.Incarnation, e.StoredVersion, observed.version, observed.Counts}
	return []row{{value: version, line: line}}, true, nil
}

// environmentVersion determines the line of an environment.
type environmentVersion struct {
	incarnation, record int64
	conditions          conditionsVersion
	counts              *Counts // each computation's are others
}

// eventVersion holds the fields of an event that can change.
type eventVersion struct {
	lastSeenAt time.Time
	count      int
}

func (o *overview) eventRows() ([]row, bool, error) {
	list, err := o.status.Events.Recent(shownEvents, shownEventsOfEach)
	if err != nil { // etcd has not been read yet
		return nil, false, nil
	}
	rows := make([]row, 0, len(list))
	for _, event := range slices.Backward(list) {
		rows = append(rows, row{
			key: event.ID, value: eventVersion{event.LastSeenAt, event.Count},
			line: func() []byte { return o.status.Encoder.Event(event) },
		})
	}
	return rows, true, nil
}

func (o *overview) readinessRows() ([]row, bool, error) {
	o.mu.Lock()
	readiness := o.readiness
	o.mu.Unlock()
	if readiness == nil {
		return nil, false, nil
	}
	return []row{{line: func() []byte { return o.status.Encoder.Readiness(*readiness) }}}, true, nil
}
