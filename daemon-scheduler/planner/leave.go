package planner

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// releaseDuration is how long an instance is left without its daemon to be taken away: managed scaling of a capacity provider needs
// fifteen minutes to decide. After that the daemon comes back, as the instance might be wanted again.
const releaseDuration = 30 * time.Minute

// drain keeps the tasks on a draining instance until they are the last: all that is no daemon has stopped, and all daemons
// that leave before. Then they stop, so that the drain can end.
func (p *planBuilder) drain(at *instanceState) {
	tasks := p.liveTasks[at.ARN]
	if len(tasks) == 0 {
		p.addWait(at.ARN, "the instance is DRAINING or its agent is disconnected")
		return
	}
	if p.holdReason == "" && p.Fresh {
		own, _ := p.splitOthers(at)
		if p.stopTasks(at.ARN, own) {
			return
		}
	}
	switch {
	case !at.daemonsOnly:
		p.addWait(at.ARN, "the instance is draining and has other tasks")
	case p.hasEarlierDaemons(at.ARN):
		p.addWait(at.ARN, "the instance is draining and has daemons that leave before")
	case !p.Fresh:
		p.addWait(at.ARN, "the copy of the cluster is not current")
	default:
		p.stopTasksFor(at.ARN, tasks, func(environment.Task) string { return ReasonDraining })
	}
}

// hasEarlierDaemons tells whether a live daemon of a lower drain order is on the instance.
func (p *planBuilder) hasEarlierDaemons(instance string) bool {
	order, found := p.lowestDrainOrder[instance]
	return found && order < p.spec.DrainOrder
}

// trackScaleIn counts the time in which the task is alone with other daemons, and gives the instance up when that is long.
func (p *planBuilder) trackScaleIn(at *instanceState) {
	after := time.Duration(p.spec.ScaleInAfterMinutes) * time.Minute
	next := at.launch
	switch {
	case after == 0 || !at.daemonsOnly:
		next.DaemonsOnlySince, next.ReleasedAt = time.Time{}, time.Time{}
	case next.DaemonsOnlySince.IsZero():
		next.DaemonsOnlySince = p.Now.UTC()
		p.requeueAt(p.Now.Add(after))
	case p.Now.Before(next.DaemonsOnlySince.Add(after)):
		p.requeueAt(next.DaemonsOnlySince.Add(after))
	case next.ReleasedAt.IsZero():
		next.ReleasedAt = p.Now.UTC()
	default: // it was not taken away
		next.DaemonsOnlySince, next.ReleasedAt = p.Now.UTC(), time.Time{}
	}
	if !next.DaemonsOnlySince.Equal(at.launch.DaemonsOnlySince) || !next.ReleasedAt.Equal(at.launch.ReleasedAt) {
		p.addAction(Action{Kind: Record, Instance: at.ARN, Launch: next, Reason: "what it shares the instance with has changed"})
	}
}

// releasedForScaleIn tells whether the instance is to be without the environment's tasks for now, as it had daemons only for too long.
func (p *planBuilder) releasedForScaleIn(at *instanceState) bool {
	since := at.launch.ReleasedAt
	if !at.daemonsOnly || since.IsZero() || p.spec.ScaleInAfterMinutes == 0 || at.launch.State == environment.LaunchOpen {
		return false
	}
	back := since.Add(releaseDuration)
	if !p.Now.Before(back) {
		return false
	}
	p.requeueAt(back)
	return true
}
