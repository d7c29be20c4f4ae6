package broadcast

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	groupSize = 32 // readers that are woken together
	maxGroups = 32 // beyond groupSize*maxGroups readers, groups grow
	// Waking a reader, which then writes to its client, is assumed to cost firstCost until readers have been measured.
	// One measurement counts as maxCost at most, so that slow clients delay no others.
	firstCost = 20 * time.Microsecond
	maxCost   = 100 * time.Microsecond
	// costSamples is the number of measurements over which the cost is averaged.
	costSamples = 128
	// longestDelay is the time between the starts of two rounds at most, however many readers there are.
	longestDelay = 40 * time.Millisecond
)

// notifier coalesces wake-ups. It wakes readers in rounds, group after group: the other goroutines of the process would
// wait behind a thousand runnable readers. A round begins at once if the last one is long enough ago. Else it waits,
// so that readers find several items and write them together: rounds take half of the CPU time at most, unless
// longestDelay begins them sooner.
type notifier struct {
	lock    sync.Locker // the owner's, held by callers of all methods
	procs   time.Duration
	cost    atomic.Int64 // average nanoseconds of a reader in a round
	groups  []*group
	readers int64

	newest uint64      // number of the newest item
	began  time.Time   // when the last round began
	next   int         // index of the next group of the running round; 0 if no round runs
	timer  *time.Timer // of the next group or round; nil if there is none
}

// group is a set of readers that are woken together.
type group struct {
	readers int64                         // under the notifier's lock
	ready   atomic.Pointer[chan struct{}] // closed and replaced at each wake-up
	woken   atomic.Uint64                 // number of the newest item at the last wake-up
}

func newNotifier(lock sync.Locker) *notifier {
	n := &notifier{lock: lock, procs: time.Duration(runtime.GOMAXPROCS(0))}
	n.cost.Store(int64(firstCost))
	return n
}

// join adds a reader to the group with the fewest readers.
func (n *notifier) join() *group {
	var smallest *group
	for _, g := range n.groups {
		if smallest == nil || g.readers < smallest.readers {
			smallest = g
		}
	}
	if smallest == nil || smallest.readers >= groupSize && len(n.groups) < maxGroups {
		smallest = &group{}
		ready := make(chan struct{})
		smallest.ready.Store(&ready)
		smallest.woken.Store(n.newest)
		n.groups = append(n.groups, smallest)
	}
	smallest.readers++
	n.readers++
	return smallest
}

func (n *notifier) leave(g *group) {
	g.readers--
	n.readers--
}

// notify wakes all readers soon: number is that of the newest item.
func (n *notifier) notify(number uint64) {
	n.newest = number
	if n.timer != nil || n.readers == 0 {
		return
	}
	if wait := n.period() - time.Since(n.began); wait > 0 {
		n.schedule(wait)
		return
	}
	n.wakeGroups()
}

// period is the least time between the starts of two rounds.
func (n *notifier) period() time.Duration { return min(2*n.roundTime(n.readers), longestDelay) }

// roundTime is how long so many readers keep all CPUs busy.
func (n *notifier) roundTime(readers int64) time.Duration {
	return time.Duration(readers*n.cost.Load()) / n.procs
}

func (n *notifier) schedule(delay time.Duration) {
	n.timer = time.AfterFunc(delay, func() {
		n.lock.Lock()
		defer n.lock.Unlock()
		if n.timer != nil { // else close came first
			n.timer = nil
			n.wakeGroups()
		}
	})
}

// wakeGroups wakes the next group of the round, or begins a round. It schedules the group or round after that.
func (n *notifier) wakeGroups() {
	if n.next == 0 {
		n.began = time.Now()
	}
	for n.next < len(n.groups) {
		g := n.groups[n.next]
		n.next++
		if g.readers == 0 || g.woken.Load() == n.newest {
			continue
		}
		g.wake(n.newest)
		if n.next < len(n.groups) {
			n.schedule(min(n.roundTime(g.readers), longestDelay/2/maxGroups))
			return
		}
	}
	n.next = 0
	for _, g := range n.groups {
		if g.readers > 0 && g.woken.Load() != n.newest { // an item was appended after the group's turn
			n.schedule(max(0, n.period()-time.Since(n.began)))
			return
		}
	}
}

// close wakes all readers now, and makes every later wait return at once.
func (n *notifier) close() {
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	n.newest = math.MaxUint64
	for _, g := range n.groups {
		g.wake(n.newest)
	}
}

// worked measures a reader's work in a round. Concurrent calls may lose a measurement.
func (n *notifier) worked(d time.Duration) {
	cost := n.cost.Load()
	n.cost.Store(cost + (int64(min(d, maxCost))-cost)/costSamples)
}

func (g *group) wake(number uint64) {
	g.woken.Store(number)
	fresh := make(chan struct{})
	close(*g.ready.Swap(&fresh))
}

var alwaysReady = func() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}()

// readyAfter returns a channel that is closed once the group has been woken for an item after the number.
func (g *group) readyAfter(number uint64) <-chan struct{} {
	ready := *g.ready.Load() // before woken: a wake-up in between closes it
	if g.woken.Load() > number {
		return alwaysReady
	}
	return ready
}
