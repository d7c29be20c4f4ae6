// Package cache is the copy in memory of what etcd holds: every read of the API is answered from it, and every stream
// fed by it. Etcd's watch alone keeps it, so replicas that share an etcd always agree.
package cache

import (
	"cmp"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// retainedBytes bounds the lines in the log, however many they are.
const retainedBytes = 64 << 20

// Cache is the copy and those who watch it. Make it with New; it is empty until Run has read etcd.
type Cache struct {
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
	cut      func()        // ends the watch under way, so that everything is loaded anew
	first    *page         // the oldest page kept; it is read only for where the log begins
	last     *page
	rounds   rounds

	subscribers atomic.Int64

	metrics  metrics
	reading  revisionReads
	replayed chan struct{} // holds a token for each replay under way
}

// Config is what New needs.
type Config struct {
	// WatchClient is used for the view's own watch and nothing else: etcd answers progress requests for all watches of a
	// connection together.
	WatchClient *clientv3.Client
	Client      *clientv3.Client
	// Tasks and Instances tell how to read and show the records.
	Tasks     Codec[state.Task]
	Instances Codec[state.Instance]
	Log       logrus.FieldLogger
	// HistoryLimit is how many changes are kept for streams that begin in the past; 20,000 by default. Older ones are
	// replayed from etcd.
	HistoryLimit int
	// Metrics gets what the view tells of itself; nil for nobody.
	Metrics prometheus.Registerer
}

// New only builds; Run does the work.
func New(c Config) *Cache {
	start := newPage(&page{}, 0, nil)
	v := &Cache{
		watching: c.WatchClient, client: c.Client, tasks: c.Tasks, instances: c.Instances, log: c.Log,
		retained: cmp.Or(c.HistoryLimit, 20_000),
		advanced: make(chan struct{}), wake: make(chan struct{}, 1), cut: func() {},
		first: start, last: start,
		reading:  revisionReads{wake: make(chan struct{}, 1)},
		replayed: make(chan struct{}, 2),
	}
	v.rounds = rounds{lock: &v.mu, callees: v.subscribers.Load}
	v.metrics = newMetrics(v, c.Metrics)
	return v
}

// Snapshot is the latest state, which may lag behind etcd; nil before the first load. See WaitCurrent.
func (v *Cache) Snapshot() *state.Snapshot { return v.current.Load() }

// StoredVersion is what the view believes is stored under a key; it serves store.New.
func (v *Cache) StoredVersion(key state.Key) state.StoredVersion {
	if s := v.Snapshot(); s != nil {
		return s.StoredVersion(key)
	}
	return state.StoredVersion{}
}

// publish makes a snapshot the current one, after its changes are in the log: whoever sees a revision finds all changes
// up to it there.
func (v *Cache) publish(s *state.Snapshot, changes []state.Change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(changes) > 0 {
		next := newPage(v.last, changes[len(changes)-1].Revision, changes)
		v.last.next.Store(next)
		v.rounds.turn(v.last)
		v.last = next
		// The last page always follows one that is kept: however much it holds, who had read all before it is not slow.
		for next := v.first.next.Load(); next != v.last && v.tooMuch(); next = next.next.Load() {
			v.first = next
		}
	}
	v.current.Store(s)
	close(v.advanced)
	v.advanced = make(chan struct{})
}

// tooMuch tells whether the log holds more than it should.
func (v *Cache) tooMuch() bool {
	return v.last.number-v.first.number > uint64(v.retained) || v.last.bytes-v.first.bytes > retainedBytes
}

// restart begins the log anew at a freshly loaded snapshot. Those who read the old log are told that it has ended, also
// those who came before the first load: what was written since they came is in the snapshot, not in the log.
func (v *Cache) restart(s *state.Snapshot) {
	v.mu.Lock()
	start := newPage(v.last, s.Revision, nil)
	v.rounds.call()
	v.last.end(errInterrupted)
	v.first, v.last, v.wanted = start, start, 0
	v.mu.Unlock()
	v.publish(s, nil)
}

// reload has everything read anew.
func (v *Cache) reload() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut()
}
