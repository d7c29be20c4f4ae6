package rules

import (
	"strings"
	"time"

	"github.com/blox/blox/internal/ecssim"
)

// instance is a container instance.
type instance struct {
	cluster        string
	active         bool
	connected      bool
	activeSince    time.Time
	connectedSince time.Time
}

// activeCount is the number of ACTIVE instances of a cluster from a time on.
type activeCount struct {
	at time.Time
	n  int
}

// environment is an environment, and its tasks.
type environment struct {
	Environment
	places      map[string]*place    // by instance ARN
	firstTaskAt map[string]time.Time // creation of the first task, by deployment
	newest      string               // the deployment whose first task was created last
	definitions map[string]string    // task definition of the first task, by deployment
	created     []ecssim.Task        // since the last observation
	completed   map[string]time.Time // when its completion was first observed, by deployment
	failed      map[string]bool      // deployments that were failed at the last observation
	reported    map[string]bool      // details of violations
	stops       []rolloutStop        // to be judged
}

// place is what an environment has on an instance.
type place struct {
	live     map[string]*liveTask // by ARN
	lost     *loss                // of the last available task; nil while there is one, and if there was none
	failedAt time.Time            // when an available task was last lost, but not by Blox
}

type liveTask struct {
	ecssim.Task
	available bool
	since     time.Time // since when it is available
}

// loss is how an instance lost its last available task.
type loss struct {
	at        time.Time
	task      string        // ARN
	byRollout bool          // Blox stopped it to replace it
	ran       time.Duration // for how long it had been available
	unhealthy bool          // it became UNHEALTHY
	failed    []string      // the deployments whose starts or tasks have failed there since
}

func (e *environment) place(arn string) *place {
	if e.places[arn] == nil {
		e.places[arn] = &place{live: map[string]*liveTask{}}
	}
	return e.places[arn]
}

func (p *place) available() bool {
	for _, t := range p.live {
		if t.available {
			return true
		}
	}
	return false
}

func (j *Judge) applyInstance(at time.Time, i ecssim.Instance) {
	known := j.instances[i.ARN]
	if known == nil {
		known = &instance{cluster: i.ClusterARN}
		j.instances[i.ARN] = known
	}
	active, connected := i.Status == "ACTIVE", i.AgentConnected
	if active && !known.active {
		known.activeSince = at
	}
	if connected && !known.connected {
		known.connectedSince = at
	}
	changed := active != known.active
	known.active, known.connected = active, connected
	if !changed {
		return
	}
	j.countActive(i.ClusterARN, at)
	for _, e := range j.environments {
		if p := e.places[i.ARN]; p != nil && !active { // a rollout leaves the instance out, and may complete without it
			p.lost = nil
		}
	}
}

// countActive records the number of a cluster's ACTIVE instances.
func (j *Judge) countActive(cluster string, at time.Time) {
	n := 0
	for _, i := range j.instances {
		if i.active && i.cluster == cluster {
			n++
		}
	}
	j.active[cluster] = append(j.active[cluster], activeCount{at, n})
}

// mostActive returns the most ACTIVE instances that a cluster had at any time within the delay before the given time.
func (j *Judge) mostActive(cluster string, at time.Time) (most int) {
	counts := j.active[cluster]
	for n, c := range counts {
		endsBefore := n+1 < len(counts) && counts[n+1].at.Before(at.Add(-j.delay))
		if !endsBefore {
			most = max(most, c.n)
		}
	}
	return most
}

func (j *Judge) applyRefusal(r ecssim.StartRefusal) {
	for _, e := range j.environments {
		p := e.places[r.InstanceARN]
		if p != nil && p.lost != nil {
			p.lost.failed = append(p.lost.failed, r.StartedBy)
		}
	}
	j.countRefusal(r)
}

// applyTask applies a change of a task of an environment.
func (j *Judge) applyTask(e *environment, at time.Time, t ecssim.Task) {
	p := e.place(t.InstanceARN)
	before, had := p.live[t.ARN], p.available()
	if before == nil {
		e.recordCreation(t)
		before = &liveTask{}
	}
	now := &liveTask{Task: t, available: e.isAvailable(t), since: before.since}
	if now.available && !before.available {
		now.since = at
	}
	if t.Live() {
		p.live[t.ARN] = now
	} else {
		delete(p.live, t.ARN)
	}
	j.countFailure(t)
	byRollout := isRolloutStop(e.Name, t)
	if before.available && !now.available && !byRollout {
		p.failedAt = at
	}
	switch {
	case p.available():
		p.lost = nil
	case had:
		p.lost = &loss{
			at: at, task: t.ARN, byRollout: byRollout && at.Sub(p.failedAt) >= j.delay, ran: at.Sub(before.since),
			unhealthy: t.DesiredStatus == "RUNNING",
		}
		j.recordStop(e, p, t, at)
	case p.lost != nil && !t.Live() && t.ARN != p.lost.task:
		p.lost.failed = append(p.lost.failed, t.StartedBy)
	}
}

func (e *environment) recordCreation(t ecssim.Task) {
	if t.Version > 1 {
		return // a late change of a task that has stopped
	}
	e.created = append(e.created, t)
	if _, known := e.firstTaskAt[t.StartedBy]; !known {
		e.firstTaskAt[t.StartedBy], e.newest = t.CreatedAt, t.StartedBy
		e.definitions[t.StartedBy] = t.TaskDefinitionARN
	}
}

// isAvailable reports whether a task is RUNNING and is to run, and HEALTHY if it has a health check.
func (e *environment) isAvailable(t ecssim.Task) bool {
	runs := t.LastStatus == "RUNNING" && t.DesiredStatus == "RUNNING"
	return runs && (!e.HealthCheck || t.HealthStatus == "HEALTHY")
}

// isRolloutStop reports whether Blox stopped the task to replace it: its own act, unlike a drain or a deletion.
func isRolloutStop(environment string, t ecssim.Task) bool {
	if t.DesiredStatus != "STOPPED" {
		return false
	}
	for _, kind := range []string{"superseded", "duplicate", "unhealthy"} {
		if strings.HasPrefix(t.StoppedReason, "blox: "+kind+" task of environment "+environment) {
			return true
		}
	}
	return false
}
