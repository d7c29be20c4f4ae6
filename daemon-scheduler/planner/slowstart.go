package planner

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// slowStart limits how many instances a first deployment begins on: no completed deployment shows that its tasks run,
// and no rollout budget applies to instances without a task. Batches of 1, 2, 4, 8, … instances follow each other as
// soon as the tasks of the earlier ones are ready. An instance where the deployment failed holds up no batch; another
// one takes its place, and the batch does not grow.
type slowStart struct {
	enabled   bool
	remaining int       // instances on which the deployment may begin now
	pending   int       // instances on which it has begun, and whose tasks are to become ready
	requeueAt time.Time // when one of them may become ready, or no longer hold the others up; zero if none
}

// stalledAfter is how long a task that does not become available holds up a slow start. One that takes longer may never
// become available, and says nothing about the other instances.
const stalledAfter = 10 * time.Minute

func newSlowStart(f *facts, instances []*instanceState) (s slowStart) {
	if s.enabled = startsSlowly(f.Environment); !s.enabled || stopsServices(f.Environment) {
		return slowStart{}
	}
	ready := 0
	for _, i := range instances {
		switch {
		case !i.begun:
		case f.passesSlowStart(i):
			ready++
		default:
			pending, until := f.holdsUpSlowStart(i)
			s.pending += oneIf(pending)
			s.requeueAt = Earliest(s.requeueAt, until)
		}
	}
	s.remaining = slowStartLimit(ready) - ready - s.pending
	return s
}

// startsSlowly reports whether the current deployment is the environment's first one, and starts slowly.
func startsSlowly(e environment.Environment) bool {
	current, deployed := e.Current()
	first := newRollout(e).first && current.Status != environment.Completed
	return deployed && first && e.RevisionFor(current).Spec.DeploymentConfiguration.StartsSlowly()
}

// slowStartLimit returns on how many instances a deployment may have begun, without failures, when the tasks on that
// many are ready: the sum of the batches up to the first one that is not ready as a whole.
func slowStartLimit(ready int) int { return 1<<bits.Len(uint(ready)+1) - 1 }

// passesSlowStart reports whether the instance's task is ready. While no task has failed, a task that is available is
// so, unless a minimum healthy time is configured: the min ready time would delay each batch.
func (f *facts) passesSlowStart(i *instanceState) bool {
	if !i.hasKept || !f.staysAvailable(i.kept) {
		return false
	}
	return i.minReadyAt.IsZero() || minimumHealthyTime(i) == 0 && f.failures.ofTasks == 0
}

// holdsUpSlowStart reports whether the next batch waits for the instance's task, and when that may change although the
// state has not.
func (f *facts) holdsUpSlowStart(i *instanceState) (pending bool, until time.Time) {
	overdue, overdueAt := overdueReason(f, i)
	switch {
	case i.hasFailed(overdue):
		return false, time.Time{}
	case !i.schedulable:
		return !i.unreachableTo.IsZero(), i.unreachableTo
	case !i.minReadyAt.IsZero():
		return true, i.minReadyAt
	}
	remaining := stalledAfter - max(f.PendingFor[i.kept.ARN], f.unavailableFor(i.kept))
	if remaining <= 0 {
		return false, time.Time{}
	}
	return true, Earliest(overdueAt, f.Now.Add(remaining))
}

// holds reports whether the instance waits for an earlier batch.
func (s slowStart) holds(i *instanceState) bool { return s.enabled && !i.begun && s.remaining <= 0 }

// wait is the plan for an instance that waits for an earlier batch.
func (s slowStart) wait() instancePlan {
	return instancePlan{wait: fmt.Sprintf(waitSlowStart, quantity(s.pending, "instance")), requeueAt: s.requeueAt}
}

// after returns the slow start that the plan for one instance leaves for the others.
func (s slowStart) after(i *instanceState, d instancePlan) slowStart {
	if s.enabled && !i.begun && d.starts() {
		s.remaining--
		s.pending++
	}
	return s
}
