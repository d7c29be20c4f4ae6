package engine

import "github.com/blox/blox/daemon-scheduler/environment"

// TaskChanged has the environment looked at whose task it is; others' tasks matter only to those that yield to them.
func (e *Engine) TaskChanged(clusterARN string, t environment.Task) {
	name, ours := e.Store.NameOf(t.StartedBy)
	if !ours {
		for _, name := range e.Store.WithScaleInRelease(clusterARN) {
			e.add(name)
		}
		return
	}
	if t.Running() {
		if waited, known := e.arrivals.run(t.ARN); known {
			e.metrics.seenToRunning.Observe(waited.Seconds())
		}
	}
	e.add(name)
	e.Marked(clusterARN)
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
	if c.Improved {
		for _, name := range e.Store.FailedOn(c.ClusterARN, c.Instance) {
			term.improved(name, c.Instance)
			q.Add(name)
		}
	}
	if c.Changed {
		for _, name := range e.Store.NamesOf(c.ClusterARN) {
			q.Add(name)
		}
		e.Marked(c.ClusterARN)
	}
}

// Marked has the readiness attributes of a cluster looked at, if there are any.
func (e *Engine) Marked(clusterARN string) {
	e.mu.Lock()
	ready := e.ready
	e.mu.Unlock()
	if ready != nil && e.Store.UsesReadiness(clusterARN) {
		ready.Add(clusterARN)
	}
}

// moved has the readiness attributes looked at of the cluster that the environment is of, and of the one that it was of when
// this was called last.
func (e *Engine) moved(name string) {
	e.mu.Lock()
	term := e.term
	e.mu.Unlock()
	if term == nil {
		return
	}
	was, is := term.moved(name, e.Store.ClusterOf)
	e.Marked(was)
	if is != was {
		e.Marked(is)
	}
}
