package engine

import "github.com/blox/blox/daemon-scheduler/environment"

// EnvironmentChanged queues an environment whose record or launch records have changed.
func (e *Engine) EnvironmentChanged(name string) {
	leader := e.leading()
	if leader == nil {
		return
	}
	leader.queue.Add(name)
	e.queueReadinessOf(leader, name)
}

// TaskChanged queues the environment that started the task. Other tasks matter only to the environments that release
// instances for scale-in.
func (e *Engine) TaskChanged(clusterARN string, t environment.Task) {
	leader := e.leading()
	name, started := e.Cache.NameByDeployment(t.StartedBy)
	if started && t.Running() {
		if wait, known := e.joins.taskRunning(t.ARN); known {
			e.metrics.joinToRunning.Observe(wait.Seconds())
		}
	}
	if leader == nil {
		return
	}
	if !started {
		for _, name := range e.Cache.WithScaleInRelease(clusterARN) {
			leader.queue.Add(name)
		}
		return
	}
	leader.queue.Add(name)
	e.ReadinessChanged(clusterARN)
}

// InstanceChanged queues the environments to which the change matters.
func (e *Engine) InstanceChanged(c environment.InstanceChange) {
	leader := e.leading()
	if leader == nil {
		return
	}
	if c.Joined {
		e.joins.instanceJoined(c.Instance)
	}
	if c.Improved {
		leader.recordImproved(c.Instance)
		for _, name := range e.Cache.FailedOn(c.ClusterARN, c.Instance) {
			leader.queue.Add(name)
		}
	}
	if c.Changed {
		for _, name := range e.Cache.NamesInCluster(c.ClusterARN) {
			leader.queue.Add(name)
		}
		e.ReadinessChanged(c.ClusterARN)
	}
}

// ReadinessChanged queues a cluster for the reconcile of its readiness attributes, if it uses any.
func (e *Engine) ReadinessChanged(clusterARN string) {
	if leader := e.leading(); leader != nil && e.Cache.UsesReadiness(clusterARN) {
		leader.readiness.Add(clusterARN)
	}
}

// queueReadinessOf queues the cluster of an environment, and the cluster that it belonged to at the last call.
func (e *Engine) queueReadinessOf(leader *leaderState, name string) {
	clusterARN, _ := e.Cache.ClusterOf(name)
	previous := leader.recordCluster(name, clusterARN)
	e.ReadinessChanged(clusterARN)
	if previous != clusterARN {
		e.ReadinessChanged(previous)
	}
}
