package planner

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// stepWatch is what a leader knows of the present step of a canary, and when that step began by ECS's clock.
type stepWatch struct {
	timer      StepTimer
	deployment string
	promoted   int
	beganAt    time.Time
}

// canarySteps returns a canary with random steps.
func (u *faultyFleet) canarySteps() *environment.Canary {
	canary := &environment.Canary{}
	pause := func() *int {
		if u.IntN(4) == 0 {
			return nil
		}
		return minutes(u.IntN(3))
	}
	canary.Steps = append(canary.Steps, environment.CanaryStep{Count: 1 + u.IntN(4), PauseMinutes: pause()})
	if u.IntN(2) == 0 {
		canary.Steps = append(canary.Steps, environment.CanaryStep{Query: "attribute:zone == b", PauseMinutes: pause()})
	}
	if u.IntN(2) == 0 {
		canary.Steps = append(canary.Steps, environment.CanaryStep{Percent: 20 + u.IntN(60), PauseMinutes: pause()})
	}
	return canary
}

// planStep makes a plan with the time of the present step, as the engine does. The scheduler promotes a step only if
// all its tasks are shown as available and its pause has really passed.
func (u *faultyFleet) planStep(s State) Plan {
	d, _ := s.Environment.Current()
	w := &u.steps
	if w.deployment != d.ID || w.promoted != d.CanaryProgress.PromotedSteps || w.beganAt.IsZero() {
		w.deployment, w.promoted, w.beganAt = d.ID, d.CanaryProgress.PromotedSteps, u.ecsNow()
	}
	s.Step = w.timer.For(d)
	plan := Make(s)
	w.timer = s.Step.After(plan.Progress.Step, s.Now)
	if !plan.Progress.Step.Promote {
		return plan
	}
	step, number, _, waits := s.Environment.CanaryStep(d)
	pause, automatic := step.Pause()
	u.logf("step %d promoted", number)
	mayPromote := s.Fresh && !s.Environment.Paused && plan.FailureReason == ""
	require.True(u.t, waits && automatic && mayPromote, "seed %d", u.seed)
	require.GreaterOrEqual(u.t, u.ecsNow().Sub(w.beganAt), pause, "seed %d: too early\n%s", u.seed, u.recentLog(""))
	for _, i := range s.Instances {
		launch, begun := s.Launches[i.ARN]
		if !begun || launch.Deployment != d.ID || !i.CanRunTasks() || !u.selects(d, i) {
			continue
		}
		available := false
		for _, task := range s.Tasks {
			available = available || task.Instance == i.ARN && task.StartedBy == d.ID && task.Available()
		}
		require.True(u.t, available, "seed %d: the task on %s is not available\n%s", u.seed, i.ARN, u.recentLog(i.ARN))
	}
	return plan
}
