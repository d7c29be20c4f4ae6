package planner

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// yieldFor is how long an instance is left without its daemon to be taken away: managed scaling of a capacity provider needs
// fifteen minutes to decide. After that the daemon comes back, as the instance might be wanted again.
const yieldFor = 30 * time.Minute

// drain keeps the tasks on a draining instance until they are the last: all that is no daemon has stopped, and all daemons
// that leave before. Then they stop, so that the drain can end.
func (p *planning) drain(at *site) {
	tasks := p.onInstance[at.ARN]
	if len(tasks) == 0 {
		p.wait(at.ARN, "the instance is DRAINING or its agent is disconnected")
		return
	}
	if p.held == "" && p.Fresh {
		own, _ := p.own(at)
		if p.stopAll(at.ARN, own) {
			return
		}
	}
	switch {
	case !at.alone:
		p.wait(at.ARN, "the instance is draining and has other tasks")
	case p.othersLeaveBefore(at.ARN):
		p.wait(at.ARN, "the instance is draining and has daemons that leave before")
	case !p.Fresh:
		p.wait(at.ARN, "the copy of the cluster is not current")
	default:
		p.stopBecause(at.ARN, tasks, func(environment.Task) string { return ReasonDraining })
	}
}

// othersLeaveBefore tells whether a live daemon of a lower drain order is on the instance.
func (p *planning) othersLeaveBefore(instance string) bool {
	order, found := p.firstDaemon[instance]
	return found && order < p.spec.DrainOrder
}

// yield counts the time in which the task is alone with other daemons, and gives the instance up when that is long.
func (p *planning) yield(at *site) {
	after := time.Duration(p.spec.ScaleInAfterMinutes) * time.Minute
	next := at.launch
	switch {
	case after == 0 || !at.alone:
		next.DaemonsOnlySince, next.ReleasedAt = time.Time{}, time.Time{}
	case next.DaemonsOnlySince.IsZero():
		next.DaemonsOnlySince = p.Now.UTC()
		p.until(p.Now.Add(after))
	case p.Now.Before(next.DaemonsOnlySince.Add(after)):
		p.until(next.DaemonsOnlySince.Add(after))
	case next.ReleasedAt.IsZero():
		next.ReleasedAt = p.Now.UTC()
	default: // it was not taken away
		next.DaemonsOnlySince, next.ReleasedAt = p.Now.UTC(), time.Time{}
	}
	if !next.DaemonsOnlySince.Equal(at.launch.DaemonsOnlySince) || !next.ReleasedAt.Equal(at.launch.ReleasedAt) {
		p.do(Action{Kind: Record, Instance: at.ARN, Launch: next, Reason: "what it shares the instance with has changed"})
	}
}

// givenUp tells whether the instance is to be without the environment's tasks for now, as it had daemons only for too long.
func (p *planning) givenUp(at *site) bool {
	since := at.launch.ReleasedAt
	if !at.alone || since.IsZero() || p.spec.ScaleInAfterMinutes == 0 || at.launch.State == environment.LaunchOpen {
		return false
	}
	back := since.Add(yieldFor)
	if !p.Now.Before(back) {
		return false
	}
	p.until(back)
	return true
}
