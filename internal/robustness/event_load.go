package robustness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/harness"
)

const (
	loadClusterCount = 10  // clusters whose instances and tasks belong to eventLoad alone
	loadInstances    = 200 // of each of them
	loadWorkers      = 4
	// loadSingles is the number of agents that change one by one, and of tasks that start and stop, for each burst in
	// which the agents of a whole cluster change.
	loadSingles, loadTasks = 10, 2
	// maxQueued bounds the messages in the queue, in flight or not, at the start of a burst. With a long queue,
	// reconciliations would store most changes before their events arrive.
	maxQueued = 3000
)

// loadClusterNames returns the names of the load's clusters.
func loadClusterNames() []string {
	names := make([]string, loadClusterCount)
	for n := range names {
		names[n] = fmt.Sprintf("load-%d", n)
	}
	return names
}

// eventLoad makes ECS send a number of events, as fast as Blox consumes them.
type eventLoad struct {
	*system
	seed   uint64
	events int64 // to send, at least

	sent   atomic.Int64 // changes made; each sends at least one event
	done   chan struct{}
	paused sync.RWMutex // held for writing while the load is paused
}

func newEventLoad(s *system, cfg config) *eventLoad {
	return &eventLoad{system: s, seed: cfg.seed, events: int64(cfg.events), done: make(chan struct{})}
}

// finished reports whether all events were sent.
func (l *eventLoad) finished() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// pause stops the load until resume is called. No change is under way when pause returns.
func (l *eventLoad) pause() { l.paused.Lock() }

func (l *eventLoad) resume() { l.paused.Unlock() }

// run sends the events and reports the rate. It returns early if ctx ends.
func (l *eventLoad) run(ctx context.Context) error {
	defer close(l.done)
	clusters := make([][]*loadCluster, loadWorkers) // each cluster has one worker
	for n, name := range loadClusterNames() {
		c, err := l.register(ctx, name)
		if err != nil {
			return err
		}
		clusters[n%loadWorkers] = append(clusters[n%loadWorkers], c)
	}
	began := time.Now()
	var workers sync.WaitGroup
	for n, own := range clusters {
		workers.Go(func() { l.work(ctx, uint64(n), own) })
	}
	workers.Go(func() { l.report(ctx, began) })
	workers.Wait()
	took := time.Since(began)
	l.history.printf("%d events in %s: %.0f/s", l.sent.Load(), took.Round(time.Second),
		float64(l.sent.Load())/took.Seconds())
	return ctx.Err()
}

// register registers the instances of a cluster.
func (l *eventLoad) register(ctx context.Context, name string) (*loadCluster, error) {
	var registered struct{ Instances []string }
	query := url.Values{"cluster": {name}, "count": {fmt.Sprint(loadInstances)}}
	if err := l.sim.call(ctx, http.MethodPost, "instances", query, nil, &registered); err != nil {
		return nil, err
	}
	c := &loadCluster{eventLoad: l, name: name, connected: true}
	for _, arn := range registered.Instances {
		c.instances = append(c.instances, loadInstance{arn, true})
	}
	return c, nil
}

// work changes the clusters until all events are sent.
func (l *eventLoad) work(ctx context.Context, worker uint64, clusters []*loadCluster) {
	random := rand.New(rand.NewPCG(l.seed, 1000+worker))
	for l.sent.Load() < l.events && ctx.Err() == nil {
		l.awaitQueue(ctx)
		l.paused.RLock()
		clusters[random.IntN(len(clusters))].change(ctx, random)
		l.paused.RUnlock()
	}
}

// awaitQueue waits while the queue is long.
func (l *eventLoad) awaitQueue(ctx context.Context) {
	_ = harness.Await(ctx, readyTimeout, "the queue", func() error {
		queued, err := l.sim.queued(ctx)
		if err == nil && queued > maxQueued {
			err = fmt.Errorf("%d messages", queued)
		}
		return err
	})
}

// report shows the progress each minute.
func (l *eventLoad) report(ctx context.Context, began time.Time) {
	for last := began; l.sent.Load() < l.events && backoff.Sleep(ctx, time.Second); {
		if time.Since(last) >= time.Minute {
			last = time.Now()
			l.history.printf("%d of %d events sent", l.sent.Load(), l.events)
		}
	}
}

// count counts changes, or a failed one.
func (l *eventLoad) count(changes int, err error) {
	if err != nil {
		l.history.count("event load: failed changes", 1)
		return
	}
	l.sent.Add(int64(changes))
	l.history.count("event load: changes", changes)
}

// loadCluster is a cluster of the load.
type loadCluster struct {
	*eventLoad
	name      string
	instances []loadInstance
	connected bool // what the latest change of all agents set
}

type loadInstance struct {
	arn       string
	connected bool
}

// change changes some agents and tasks, then the agents of the whole cluster.
func (c *loadCluster) change(ctx context.Context, random *rand.Rand) {
	changes := slices.Repeat([]func() error{func() error {
		return c.flipAgent(ctx, &c.instances[random.IntN(len(c.instances))])
	}}, loadSingles)
	changes = append(changes, slices.Repeat([]func() error{func() error { return c.runTask(ctx) }}, loadTasks)...)
	random.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
	for _, change := range changes {
		c.count(1, change())
	}
	c.count(c.flipAgents(ctx))
}

// flipAgent disconnects the agent of an instance, or connects it again.
func (c *loadCluster) flipAgent(ctx context.Context, i *loadInstance) error {
	query := url.Values{"instance": {i.arn}, "connected": {fmt.Sprint(!i.connected)}}
	if err := c.sim.post(ctx, "instances/agent", query); err != nil {
		return err
	}
	i.connected = !i.connected
	return nil
}

// flipAgents disconnects all agents of the cluster, or connects them again. It returns how many changed.
func (c *loadCluster) flipAgents(ctx context.Context) (changed int, err error) {
	var response struct{ Changed int }
	query := url.Values{"cluster": {c.name}, "connected": {fmt.Sprint(!c.connected)}}
	if err := c.sim.call(ctx, http.MethodPost, "instances/agents", query, nil, &response); err != nil {
		return 0, err
	}
	c.connected = !c.connected
	for n := range c.instances {
		c.instances[n].connected = c.connected
	}
	return response.Changed, nil
}

// runTask starts a task and stops it at once.
func (c *loadCluster) runTask(ctx context.Context) error {
	var started struct{ Task string }
	query := url.Values{"cluster": {c.name}, "family": {"load"}}
	if err := c.sim.call(ctx, http.MethodPost, "tasks/fargate", query, nil, &started); err != nil {
		return err
	}
	if started.Task == "" {
		return errors.New("the simulator returned no task")
	}
	return c.sim.post(ctx, "tasks/kill", url.Values{"task": {started.Task}, "exitCode": {"1"}})
}
