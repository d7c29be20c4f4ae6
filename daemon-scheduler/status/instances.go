package status

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// instancesPeriod is how often instances are computed without a change: delays between attempts pass with time.
const instancesPeriod = 5 * time.Second

// Sections of a stream of instances. The counts follow their instances in the order of the sections' names.
const (
	instanceSection = "1 instances"
	countsSection   = "2 counts"
)

// instanceStreams holds the publishers for each environment whose instances have readers.
type instanceStreams struct {
	mu         sync.Mutex
	publishers map[string]map[environment.Grouping]*instancePublisher // by environment
}

type instancePublisher struct {
	*publisher
	groupBy environment.Grouping
	readers int
	created time.Time
	// known and shown are used by the publisher alone.
	known bool     // the cache has had the environment
	shown *summary // whose rows are published
}

// WatchInstances yields the statuses of an environment's instances as lines of the encoder, then changed statuses. If
// heartbeat is above zero, it also yields the state once in each such time. It ends when ctx ends or after an error.
func (s *Status) WatchInstances(
	ctx context.Context, name string, groupBy environment.Grouping, heartbeat time.Duration,
) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		p := s.joinInstances(name, groupBy)
		defer s.instances.leave(name, p)
		p.Read(ctx, heartbeat)(yield)
	}
}

func (i *instanceStreams) environmentChanged(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range i.publishers[name] {
		p.Invalidate(instanceSection, countsSection)
	}
}

func (s *Status) joinInstances(name string, groupBy environment.Grouping) *instancePublisher {
	s.instances.mu.Lock()
	defer s.instances.mu.Unlock()
	p, ok := s.instances.publishers[name][groupBy]
	if !ok {
		p = &instancePublisher{groupBy: groupBy, created: time.Now()}
		p.publisher = newPublisher(s.instanceSource(name, p))
		if s.instances.publishers[name] == nil {
			s.instances.publishers[name] = map[environment.Grouping]*instancePublisher{}
		}
		s.instances.publishers[name][groupBy] = p
	}
	p.readers++
	return p
}

func (i *instanceStreams) leave(name string, p *instancePublisher) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if p.readers--; p.readers == 0 {
		i.forget(name, p)
	}
}

// forget makes the next reader create another publisher. Its caller holds the lock.
func (i *instanceStreams) forget(name string, p *instancePublisher) {
	if i.publishers[name][p.groupBy] != p {
		return
	}
	delete(i.publishers[name], p.groupBy)
	if len(i.publishers[name]) == 0 {
		delete(i.publishers, name)
	}
}

func (s *Status) instanceSource(name string, p *instancePublisher) source {
	sections := func() []string { return []string{instanceSection, countsSection} }
	return source{
		sections: sections,
		rows: func(section string) ([]row, bool, error) {
			if section == countsSection {
				return s.publishedCounts(p)
			}
			return s.publishedInstances(name, p)
		},
		deletedLine: func(_, arn string) []byte { return s.Encoder.InstanceDeleted(arn) },
		stateLine:   s.Encoder.State,
		current:     func() bool { return p.known && s.current() },
		counted:     func(section string) bool { return section == instanceSection },
		periodic:    sections,
		period:      instancesPeriod,
	}
}

// publishedInstances waits for an environment that the cache does not have yet: its reader has seen it in etcd, and the
// cache may be behind.
func (s *Status) publishedInstances(name string, p *instancePublisher) ([]row, bool, error) {
	rows, ok, err := s.instanceRows(name, p)
	if errors.Is(err, environment.ErrNotFound) && !p.known && time.Since(p.created) < instancesPeriod {
		return nil, false, nil
	}
	p.known = true
	if err != nil { // another environment of that name must not share this publisher
		s.instances.mu.Lock()
		defer s.instances.mu.Unlock()
		s.instances.forget(name, p)
	}
	return rows, ok, err
}

func (s *Status) instanceRows(name string, p *instancePublisher) ([]row, bool, error) {
	if !s.Cache.Synced() {
		return nil, false, nil
	}
	e, err := s.Cache.Record(name)
	if err != nil {
		return nil, false, err
	}
	latest := s.summarize(e)
	if latest == nil || latest == p.shown {
		return nil, false, nil
	}
	p.shown = latest
	rows := make([]row, 0, len(latest.instances))
	for _, status := range latest.instances {
		group := p.groupBy.ValueFor(status.Instance)
		status.Instance.Attributes = nil // not in the line, and not comparable
		rows = append(rows, row{
			key: status.Instance.ARN, value: groupedStatus{status, group},
			line: func() []byte { return s.Encoder.Instance(status, group) },
		})
	}
	return rows, true, nil
}

// groupedStatus determines the line of an instance.
type groupedStatus struct {
	status environment.InstanceStatus
	group  string
}

// publishedCounts returns the counts of the instances that are published.
func (s *Status) publishedCounts(p *instancePublisher) ([]row, bool, error) {
	if p.shown == nil {
		return nil, false, nil
	}
	counts := p.shown.counts.Total
	return []row{{value: counts, line: func() []byte { return s.Encoder.Counts(counts) }}}, true, nil
}
