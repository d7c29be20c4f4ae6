package planner

import (
	"cmp"
	"fmt"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// wave is the instances that have one value of the attribute of spreadBy. Those without the attribute are the last one.
type wave struct {
	value   string
	missing bool
}

func compareWaves(a, b wave) int {
	return cmp.Or(cmp.Compare(oneIf(a.missing), oneIf(b.missing)), cmp.Compare(a.value, b.value))
}

// waves order a rollout by the values of an attribute: it replaces no task in a wave before the instances of the
// earlier ones are finished. Instances without a task have nothing to lose, so their tasks start at once.
type waves struct {
	attribute string    // empty without waves
	current   wave      // the first one that is not finished
	waiting   int       // its instances that are not finished; 0 if every wave is
	requeueAt time.Time // when one of them may be, or no longer hold the others up; zero if none
}

func newWaves(f *facts, instances []*instanceState) waves {
	w := waves{attribute: f.targets.current.spec.DeploymentConfiguration.SpreadAttribute()}
	if w.attribute == "" {
		return w
	}
	for _, i := range instances {
		holdsUp, until := f.holdsUpWave(i)
		if !holdsUp {
			continue
		}
		switch of := w.of(i.Instance); {
		case w.waiting == 0 || compareWaves(of, w.current) < 0:
			w.current, w.waiting, w.requeueAt = of, 1, until
		case of == w.current:
			w.waiting++
			w.requeueAt = Earliest(w.requeueAt, until)
		}
	}
	return w
}

// of returns the wave of an instance.
func (w waves) of(i environment.Instance) wave {
	value, has := i.Attribute(w.attribute)
	return wave{value, !has}
}

// holdsUpWave reports whether later waves wait for the instance, and when that may change although the state has not.
// One that failed does not hold them up, nor one whose agent was lost for longer than a deployment waits for it.
func (f *facts) holdsUpWave(i *instanceState) (holdsUp bool, until time.Time) {
	overdue, overdueAt := overdueReason(f, i)
	switch {
	case !i.matches, !i.isTarget(f.current().ID), i.hasFailed(overdue), f.isFinished(i):
		return false, time.Time{}
	case !i.schedulable:
		return !i.unreachableTo.IsZero(), i.unreachableTo
	}
	return true, Earliest(i.minReadyAt, overdueAt)
}

// holds reports whether the instance waits for an earlier wave.
func (w waves) holds(i *instanceState) bool {
	return w.waiting > 0 && compareWaves(w.of(i.Instance), w.current) > 0
}

// wait is the plan for an instance that waits for an earlier wave.
func (w waves) wait() instancePlan {
	value := w.current.value
	if w.current.missing {
		value = "none"
	}
	return instancePlan{
		wait: fmt.Sprintf(waitWave, quantity(w.waiting, "instance"), w.attribute, value), requeueAt: w.requeueAt,
	}
}
