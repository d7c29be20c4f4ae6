package rules

import (
	"slices"
	"time"

	"github.com/blox/blox/internal/ecssim"
)

// The minimum.
//
// At the moment at which ECS accepts a StopTask of a rollout, the judge counts the ACTIVE instances that lack an
// available task by Blox's own act, the instance of the stopped task included: Blox stopped their last available task
// as superseded, duplicate or unhealthy, and no task there has been available since. There may be as many as
// minimumHealthyPercent allows, and none with a surge. These do not count:
//
//   - an instance that has left ACTIVE since: a rollout leaves it out
//   - an instance where a start or task of a deployment has failed that is completed by now: the next rollout owes it
//     no task
//   - a task that had been available for less than the delay, unless Blox recorded its replacement: Blox stopped it as
//     one that was starting
//   - an instance where another available task failed within the delay: Blox relied on that one
//
// Blox knows its own acts, so nothing else is tolerated for them. The limit is that of the most ACTIVE instances within
// the delay: Blox may not know yet that one has left.
//
// Losses that Blox did not cause count too once Blox must know them: the task was lost after the rollout's first start
// and more than the delay ago, on an instance that has been ACTIVE and connected for longer. Health does not count as
// such: ECS sends no event for it. Together with Blox's own acts there may be as many as minimumHealthyPercent allows.

// rolloutStop is a stop that took the last available task of an instance.
type rolloutStop struct {
	at      time.Time
	task    ecssim.Task
	newest  string           // the deployment that the environment was rolling out, as far as its tasks show
	own     map[string]*loss // the instances that lacked a task by Blox's own act, by ARN, the task's included
	others  map[string]*loss // those that lacked one otherwise, of which Blox must have known
	allowed int              // instances that may lack one
}

// recordStop records a stop of a rollout to be judged with the next observation. The judge knows then whether Blox has
// announced it.
func (j *Judge) recordStop(e *environment, p *place, t ecssim.Task, at time.Time) {
	if i := j.instances[t.InstanceARN]; !p.lost.byRollout || i == nil || !i.active {
		return
	}
	s := rolloutStop{at: at, task: t, newest: e.newest, own: map[string]*loss{}, others: map[string]*loss{}}
	s.allowed = maxUnavailable(j.mostActive(e.ClusterARN, at), e.MinimumHealthy)
	for arn, p := range e.places {
		i := j.instances[arn]
		switch {
		case p.lost == nil || i == nil || !i.active:
		case p.lost.byRollout:
			s.own[arn] = new(*p.lost)
		case j.mustKnow(e, p.lost, i, at):
			s.others[arn] = new(*p.lost)
		}
	}
	e.stops = append(e.stops, s)
}

// mustKnow reports whether Blox must know at a time that the rollout of the environment's newest deployment has lost
// the task, although it did not stop the task.
func (j *Judge) mustKnow(e *environment, l *loss, i *instance, at time.Time) bool {
	known := at.Add(-j.delay)
	return i.connected && i.connectedSince.Before(known) && i.activeSince.Before(known) && !l.unhealthy &&
		l.at.Before(known) && l.at.After(e.firstTaskAt[e.newest])
}

// maxUnavailable is how many of the instances may lack an available task: at least one, or no rollout could proceed.
func maxUnavailable(instances, minimumHealthy int) int {
	return max(1, instances-(instances*minimumHealthy+99)/100)
}

// judgeStops judges the stops before the given time.
func (j *Judge) judgeStops(e *environment, before time.Time, deployments []Deployment) {
	completed := map[string]bool{}
	for _, d := range deployments {
		completed[d.ID] = d.RolloutState == "COMPLETED"
	}
	counts := func(l *loss) bool {
		knew := l.ran >= j.delay || j.announced[l.task]
		return (knew || !l.byRollout) && !slices.ContainsFunc(l.failed, func(id string) bool { return completed[id] })
	}
	var later []rolloutStop
	for _, s := range e.stops {
		own, others := count(s.own, counts), count(s.others, counts)
		switch {
		case !s.at.Before(before):
			later = append(later, s)
		case !counts(s.own[s.task.InstanceARN]):
		case e.StartFirst && own > 0, own > s.allowed:
			j.report(PromiseMinimum, "%s: at %s, Blox stopped %s on %s; %d instances lack an available task "+
				"by its own act, %d may (start first: %t)", e.Name, s.at.Format("15:04:05.000"), s.task.ARN,
				s.task.InstanceARN, own, s.allowed, e.StartFirst)
		case e.continues(s, completed) && own+others > s.allowed:
			j.report(PromiseMinimum, "%s: at %s, Blox stopped %s on %s; %d instances lack an available task "+
				"by its own act and %d otherwise, %d may", e.Name, s.at.Format("15:04:05.000"), s.task.ARN,
				s.task.InstanceARN, own, others, s.allowed)
		}
	}
	e.stops = later
}

// continues reports whether the stop belongs to the rollout of the newest deployment for certain: its task is older
// than the deployment and differs from its tasks, and the deployment has not completed.
func (e *environment) continues(s rolloutStop, completed map[string]bool) bool {
	return !completed[s.newest] && s.task.StartedBy != s.newest && s.task.CreatedAt.Before(e.firstTaskAt[s.newest]) &&
		s.task.TaskDefinitionARN != e.definitions[s.newest]
}

func count(losses map[string]*loss, counts func(*loss) bool) (n int) {
	for _, l := range losses {
		if counts(l) {
			n++
		}
	}
	return n
}
