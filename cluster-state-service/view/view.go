// Package view is the copy in memory of what etcd holds: every read of the API is answered from it, and every stream
// fed by it. Etcd's watch alone keeps it, so replicas that share an etcd always agree.
package view

import (
	"cmp"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// View is the copy and those who watch it. Make it with New; it is empty until Run has read etcd.
type View struct {
	watching  *clientv3.Client // the watch's own, for progress
	client    *clientv3.Client // everything else's
	tasks     Codec[state.Task]
	instances Codec[state.Instance]
	log       logrus.FieldLogger
	retained  int // how many changes the log keeps

	current atomic.Pointer[state.Snapshot] // nil until loaded

	mu       sync.Mutex
	advanced chan struct{} // closed, and made anew, at each publication
	wanted   int64         // the highest revision that somebody waits for
	wake     chan struct{} // tells the asker that wanted has risen
	first    *page         // the oldest page kept; it is read only for where the log begins
	last     *page

	reading  revisionReads
	replayed chan struct{} // holds a token for each replay under way
}

// Config is what New needs.
type Config struct {
	// Watching is used for the view's own watch and nothing else: etcd answers progress requests for all watches of a
	// connection together.
	Watching *clientv3.Client
	Client   *clientv3.Client
	// Tasks and Instances tell how to read and show the records.
	Tasks     Codec[state.Task]
	Instances Codec[state.Instance]
	Log       logrus.FieldLogger
	// Retained is how many changes are kept for streams that begin in the past; 20,000 by default. Older ones are
	// replayed from etcd.
	Retained int
}

// New only builds; Run does the work.
func New(c Config) *View {
	start := newPage(0, 0, nil)
	return &View{
		watching: c.Watching, client: c.Client, tasks: c.Tasks, instances: c.Instances, log: c.Log,
		retained: cmp.Or(c.Retained, 20_000),
		advanced: make(chan struct{}), wake: make(chan struct{}, 1),
		first: start, last: start,
		reading:  revisionReads{wake: make(chan struct{}, 1)},
		replayed: make(chan struct{}, 2),
	}
}

// Snapshot is the latest state, which may lag behind etcd; nil before the first load. See Fresh.
func (v *View) Snapshot() *state.Snapshot { return v.current.Load() }

// Known is what the view believes is stored under a key; it serves store.New.
func (v *View) Known(key state.Key) state.Known {
	if s := v.Snapshot(); s != nil {
		return s.Known(key)
	}
	return state.Known{}
}

// publish makes a snapshot the current one, after its changes are in the log: whoever sees a revision finds all changes
// up to it there.
func (v *View) publish(s *state.Snapshot, changes []state.Change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(changes) > 0 {
		next := newPage(v.last.number, changes[len(changes)-1].Revision, changes)
		v.last.turn(next)
		v.last = next
		for v.first.number+uint64(v.retained) < v.last.number {
			v.first = v.first.next.Load()
		}
	}
	v.current.Store(s)
	close(v.advanced)
	v.advanced = make(chan struct{})
}

// restart begins the log anew at a freshly loaded snapshot. Those who read the old log are told that it has ended, unless
// it has not begun: before the first load nothing was missed.
func (v *View) restart(s *state.Snapshot) {
	v.mu.Lock()
	begun := v.current.Load() != nil
	start := newPage(v.last.number, s.Revision, nil)
	if begun {
		v.last.end(errInterrupted)
	} else {
		v.last.turn(start)
	}
	v.first, v.last = start, start
	v.mu.Unlock()
	v.publish(s, nil)
}
