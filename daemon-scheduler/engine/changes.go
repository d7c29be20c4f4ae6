package engine

import "github.com/blox/blox/daemon-scheduler/environment"

// TaskChanged has the environment looked at whose task it is; others' tasks matter only to those that yield to them.
func (e *Engine) TaskChanged(clusterARN string, t environment.Task) {
	name, ours := e.Store.NameOf(t.StartedBy)
	if !ours {
		for _, name := range e.Store.Yielding(clusterARN) {
			e.Changed(name)
		}
		return
	}
	if t.Running() {
		if waited, known := e.arrivals.run(t.ARN); known {
			e.metrics.seenToRunning.Observe(waited.Seconds())
		}
	}
	e.Changed(name)
}

// InstanceChanged has the environments looked at to which it matters.
func (e *Engine) InstanceChanged(c environment.InstanceChange) {
	e.mu.Lock()
	q, term := e.queue, e.term
	e.mu.Unlock()
	if q == nil {
		return
	}
	if c.Joined {
		e.arrivals.join(c.Instance)
	}
	if c.Better {
		for _, name := range e.Store.FailedOn(c.ClusterARN, c.Instance) {
			term.improved(name, c.Instance)
			q.Add(name)
		}
	}
	if c.Altered {
		for _, name := range e.Store.NamesOf(c.ClusterARN) {
			q.Add(name)
		}
	}
}
