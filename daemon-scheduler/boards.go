package daemonscheduler

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/api"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/status"
)

// Sections of the overview; an environment's is its name behind named.
const (
	eventSection = "events"
	readiness    = "readiness"
	named        = "environment/"
)

const (
	lookAgain  = 5 * time.Second // at what time alone may change
	readyAgain = 2 * time.Second
)

// boards are the overview, and one for each environment whose instances somebody follows.
type boards struct {
	outlook
	replica  string
	overview *status.Board

	mu   sync.Mutex
	open map[string]*opened // by environment
}

type opened struct {
	*status.Board
	readers int
	since   time.Time
	known   bool // whether the copy has had the environment; for the board alone
}

// newBoards has boards touched by every change of the copies, until stop is called.
func newBoards(o outlook, replica string) (b *boards, stop func()) {
	b = &boards{outlook: o, replica: replica, open: map[string]*opened{}}
	b.overview = status.New(b.overviewSource())
	o.records.Follow(b.touch)
	return b, o.clusters.Follow(b)
}

// touch notes that something about an environment has changed; with an empty name it is the events.
func (b *boards) touch(name string) {
	if name == "" {
		b.overview.Touch(eventSection)
		return
	}
	b.overview.Touch(named + name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if o, ok := b.open[name]; ok {
		o.Touch("")
	}
}

// TaskChanged is told by the cluster. Others' tasks show where an instance is draining, of which the cluster tells as well.
func (b *boards) TaskChanged(_ string, t environment.Task) {
	if name, ours := b.records.NameOf(t.StartedBy); ours {
		b.touch(name)
	}
}

// InstanceChanged is told by the cluster.
func (b *boards) InstanceChanged(c environment.InstanceChange) {
	for _, name := range b.records.NamesOf(c.ClusterARN) {
		b.touch(name)
	}
}

// Instances is what api.Boards says.
func (b *boards) Instances(ctx context.Context, name string, heartbeat time.Duration) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		o := b.join(name)
		defer b.leave(name, o)
		o.Read(ctx, heartbeat)(yield)
	}
}

// Overview is what api.Boards says.
func (b *boards) Overview(ctx context.Context, heartbeat time.Duration) iter.Seq2[[]byte, error] {
	return b.overview.Read(ctx, heartbeat)
}

func (b *boards) join(name string) *opened {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.open[name]
	if !ok {
		o = &opened{since: time.Now()}
		o.Board = status.New(b.instancesSource(name, o))
		b.open[name] = o
	}
	o.readers++
	return o
}

func (b *boards) leave(name string, o *opened) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o.readers--; o.readers == 0 {
		b.forget(name, o)
	}
}

// forget has the next reader open another board. Its caller holds the lock.
func (b *boards) forget(name string, o *opened) {
	if b.open[name] == o {
		delete(b.open, name)
	}
}

func (b *boards) instancesSource(name string, o *opened) status.Source {
	whole := func() []string { return []string{""} }
	return status.Source{
		Sections: whole, Idle: whole, Every: lookAgain,
		Rows:    func(string) ([]status.Row, bool, error) { return b.instancesOf(name, o) },
		Gone:    func(_, arn string) []byte { return api.InstanceGone(arn) },
		State:   api.StateLine,
		Current: func() bool { return o.known && b.current() },
		Counted: func(string) bool { return true },
	}
}

// instancesOf is instances for a board. Who follows an environment has just seen it in etcd, which the copy may be behind.
func (b *boards) instancesOf(name string, o *opened) ([]status.Row, bool, error) {
	rows, ok, err := b.instances(name)
	if errors.Is(err, environment.ErrNotFound) && !o.known && time.Since(o.since) < lookAgain {
		return nil, false, nil
	}
	o.known = true
	if err != nil { // the environment may be created anew while some still read that it is gone
		b.mu.Lock()
		defer b.mu.Unlock()
		b.forget(name, o)
	}
	return rows, ok, err
}

// instances are what the planner makes of an environment's instances.
func (b *boards) instances(name string) ([]status.Row, bool, error) {
	if !b.records.Synced() {
		return nil, false, nil
	}
	e, _, err := b.records.Copied(name)
	if err != nil {
		return nil, false, err
	}
	placements, ok := b.Place(e)
	rows := make([]status.Row, 0, len(placements))
	for _, p := range placements {
		p.Instance.Attributes = nil // are not shown, and cannot be compared
		rows = append(rows, status.Row{Key: p.Instance.ARN, Value: p, Line: func() []byte { return api.InstanceLine(p) }})
	}
	return rows, ok, nil
}

func (b *boards) current() bool {
	return b.records.Synced() && b.clusters.Fresh(time.Now())
}

func (b *boards) overviewSource() status.Source {
	was := false
	return status.Source{
		Sections: func() []string { return append(b.sections(), eventSection, readiness) },
		Rows: func(section string) ([]status.Row, bool, error) {
			switch section {
			case eventSection:
				return b.decided()
			case readiness:
				return b.readiness(), true, nil
			}
			return b.environment(strings.TrimPrefix(section, named))
		},
		Gone: func(section, _ string) []byte {
			if name, is := strings.CutPrefix(section, named); is {
				return api.EnvironmentGone(name)
			}
			return nil
		},
		State: api.StateLine, Current: b.current, Every: readyAgain,
		Counted: func(section string) bool { return strings.HasPrefix(section, named) },
		Idle: func() []string {
			if is := b.current(); is != was { // counts come or go
				was = is
				return append(b.sections(), readiness)
			}
			return []string{readiness}
		},
	}
}

// sections are those of all environments.
func (b *boards) sections() (sections []string) {
	for _, name := range b.records.Names() {
		sections = append(sections, named+name)
	}
	return sections
}

func (b *boards) environment(name string) ([]status.Row, bool, error) {
	e, _, err := b.records.Copied(name)
	if errors.Is(err, environment.ErrNotFound) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, nil // unreadable, as the log says
	}
	return []status.Row{{Line: func() []byte { return api.EnvironmentLine(e, b) }}}, true, nil
}

func (b *boards) decided() ([]status.Row, bool, error) {
	list, err := b.records.Events()
	if err != nil {
		return nil, false, nil // not read yet
	}
	rows := make([]status.Row, 0, len(list))
	for _, d := range list {
		rows = append(rows, status.Row{Key: d.ID, Value: told{d.LastSeenAt, d.Count}, Line: func() []byte { return api.EventLine(d) }})
	}
	return rows, true, nil
}

// told is what may become different of a event.
type told struct {
	at    time.Time
	count int
}

// readiness asks etcd who leads, which may take a second when it does not answer.
func (b *boards) readiness() []status.Row {
	leader, reasons := api.Ready(context.Background(), b.records, func() []string { return notReady(b.clusters) })
	return []status.Row{{Line: func() []byte { return api.ReadinessLine(b.replica, leader, reasons) }}}
}
