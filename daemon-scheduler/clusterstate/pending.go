package clusterstate

import (
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/environment"
)

// pendingTimes measures for how long tasks have been starting, by the clock of this process: other clocks may be wrong.
// The time stands still while a task's instance cannot run tasks, because its agent starts nothing then. It is safe for
// concurrent use.
type pendingTimes struct {
	mu         sync.Mutex
	byTask     map[string]*pendingTask            // by ARN
	byInstance map[string]map[string]*pendingTask // by instance ARN, then by task ARN
}

// pendingTask is a task that has not become RUNNING yet.
type pendingTask struct {
	instance string        // ARN
	elapsed  time.Duration // until since, or until now while since is zero
	since    time.Time     // when its time began to run; zero while it stands still
}

func newPendingTimes() *pendingTimes {
	return &pendingTimes{byTask: map[string]*pendingTask{}, byInstance: map[string]map[string]*pendingTask{}}
}

// PendingFor returns for how long this process has seen tasks starting on instances that can run tasks, by task ARN. It
// leaves out tasks that are not starting, or that it does not know.
func (c Cluster) PendingFor(tasks []environment.Task, now time.Time) map[string]time.Duration {
	if c.pending == nil {
		return nil
	}
	c.pending.mu.Lock()
	defer c.pending.mu.Unlock()
	var times map[string]time.Duration
	for _, t := range tasks {
		if !t.Starting() {
			continue
		}
		pending, known := c.pending.byTask[t.ARN]
		if !known {
			continue
		}
		if times == nil {
			times = map[string]time.Duration{}
		}
		times[t.ARN] = pending.at(now)
	}
	return times
}

// measurePending keeps the time of tasks that schedulers have started. ECS starts those of services itself.
func (c Cluster) measurePending(change informer.Change) {
	now := time.Now()
	switch change.Kind {
	case informer.KindInstance:
		c.pending.instanceChanged(change.ARN, c.canRunTasks, now)
		return
	case informer.KindCluster:
		return
	case informer.KindTask:
	}
	known := c.Informer.Task(change.ARN)
	if known == nil {
		c.pending.remove(change.ARN)
		return
	}
	t := task(known.Entity)
	if !t.Starting() || t.StartedBy == "" || strings.HasPrefix(t.StartedBy, "ecs-svc/") {
		c.pending.remove(change.ARN)
		return
	}
	c.pending.add(t, c.canRunTasks(t.Instance), now)
}

// canRunTasks reports whether ECS can start a task on the instance with that ARN now.
func (c Cluster) canRunTasks(instance string) bool {
	i, found := c.Instance(instance)
	return found && i.CanRunTasks()
}

// add begins to measure the time of a task, unless it is measured already.
func (p *pendingTimes) add(t environment.Task, running bool, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.byTask[t.ARN]; known {
		return
	}
	pending := &pendingTask{instance: t.Instance}
	pending.run(running, now)
	p.byTask[t.ARN] = pending
	if p.byInstance[t.Instance] == nil {
		p.byInstance[t.Instance] = map[string]*pendingTask{}
	}
	p.byInstance[t.Instance][t.ARN] = pending
}

// remove forgets a task.
func (p *pendingTimes) remove(arn string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pending, known := p.byTask[arn]
	if !known {
		return
	}
	delete(p.byTask, arn)
	delete(p.byInstance[pending.instance], arn)
	if len(p.byInstance[pending.instance]) == 0 {
		delete(p.byInstance, pending.instance)
	}
}

// instanceChanged stops the time of the instance's tasks, or lets it run.
func (p *pendingTimes) instanceChanged(instance string, canRunTasks func(arn string) bool, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tasks := p.byInstance[instance]
	if len(tasks) == 0 { // the usual case
		return
	}
	running := canRunTasks(instance)
	for _, pending := range tasks {
		pending.run(running, now)
	}
}

// run lets the time run from now on, or stops it.
func (p *pendingTask) run(running bool, now time.Time) {
	switch {
	case running == !p.since.IsZero():
	case running:
		p.since = now
	default:
		p.elapsed = p.at(now)
		p.since = time.Time{}
	}
}

// at returns the time that has elapsed until now.
func (p *pendingTask) at(now time.Time) time.Duration {
	if p.since.IsZero() {
		return p.elapsed
	}
	return p.elapsed + max(0, now.Sub(p.since))
}
