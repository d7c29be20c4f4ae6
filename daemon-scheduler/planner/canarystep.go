package planner

import (
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// stepRecheck is the longest time between two plans while the pause of a step passes: each records its progress. A
// longer interval counts as this one, because no plan has seen the tasks meanwhile.
const stepRecheck = time.Minute

// StepTimer measures for how long all tasks of a canary's step have been ready: the intervals between consecutive plans
// of one leader that all found them ready, by its own clock.
type StepTimer struct {
	Deployment    string // id
	PromotedSteps int    // before the step
	ReadyFor      time.Duration
	ReadyAt       time.Time // of the last plan, if that found them ready; zero if not
}

// For returns the timer of the deployment's present step. It begins with what former leaders have recorded.
func (t StepTimer) For(d environment.Deployment) StepTimer {
	if t.Deployment == d.ID && t.PromotedSteps == d.CanaryProgress.PromotedSteps {
		return t
	}
	return StepTimer{
		Deployment: d.ID, PromotedSteps: d.CanaryProgress.PromotedSteps, ReadyFor: d.CanaryProgress.ReadyFor,
	}
}

// After returns the timer after a plan that was made at now.
func (t StepTimer) After(p environment.StepProgress, now time.Time) StepTimer {
	t.ReadyAt = time.Time{}
	if p.Number > 0 {
		t.ReadyFor = p.ReadyFor
	}
	if p.Ready {
		t.ReadyAt = now
	}
	return t
}

// stepProgress returns the progress of the present step of the canary, if the scheduler is to promote it, and when it
// changes although the state does not. A failure makes the time that its tasks have been ready zero; while an instance
// that joined gets its task, the time stands still. Tripped reports that the deployment fails now.
func stepProgress(f *facts, instances []*instanceState, tripped bool) (p environment.StepProgress, at time.Time) {
	step, number, _, waits := f.Environment.CanaryStep(*f.current())
	pause, automatic := step.Pause()
	if !f.deployed() || !waits || !automatic {
		return p, at
	}
	p.Number, p.ReadyFor = number, f.Step.ReadyFor
	ready, unready, failed, readyAt := stepReadiness(f, instances)
	switch {
	case failed && f.Fresh:
		p.ReadyFor = 0
		return p, readyAt
	case ready == 0 || unready > 0:
		return p, readyAt
	case !f.Fresh, tripped, f.Environment.Paused, f.holdReason(f.targets.current) != "":
		return p, at
	}
	p.Ready = true
	if !f.Step.ReadyAt.IsZero() {
		p.ReadyFor += min(stepRecheck, max(0, f.Now.Sub(f.Step.ReadyAt)))
	}
	remaining := pause - p.ReadyFor
	p.Promote = remaining <= 0
	p.PromotesAt = f.Now.Add(max(0, remaining))
	return p, f.Now.Add(min(stepRecheck, max(0, remaining)))
}

// unreadyInCanary returns how many instances of the canary's present step lack a ready task.
func unreadyInCanary(f *facts, instances []*instanceState) int {
	if _, _, _, waits := f.Environment.CanaryStep(*f.current()); !f.deployed() || !waits {
		return 0
	}
	_, unready, _, _ := stepReadiness(f, instances)
	return unready
}

// stepReadiness returns how many instances of the canary have a ready task and how many have none, and whether one of
// the latter has failed. It returns when the next task becomes ready by time alone. As for a completion, an instance
// that lost its agent is waited for only for a while.
func stepReadiness(f *facts, instances []*instanceState) (ready, unready int, failed bool, readyAt time.Time) {
	for _, i := range instances {
		switch {
		case !i.inCanary || !i.matches || !i.schedulable && i.unreachableTo.IsZero():
		case i.isTarget(f.current().ID) && f.hasProven(i) && !slices.ContainsFunc(i.superseded, notStopping):
			ready++
		default:
			overdue, _ := overdueReason(f, i)
			unhealthy := i.hasKept && i.kept.Unhealthy()
			begun := i.launch.Deployment == f.current().ID
			failed = failed || overdue != "" || unhealthy || begun && (i.launch.Reason != "" || i.launch.Failures > 0)
			unready++
			readyAt = Earliest(readyAt, Earliest(i.minReadyAt, i.unreachableTo))
		}
	}
	return ready, unready, failed, readyAt
}
