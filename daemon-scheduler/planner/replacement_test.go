package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// A stop that makes room for a start carries the launch to record first. Once the task has stopped, that launch is
// started, and meanwhile the instance counts as unavailable because of the rollout.
func TestReplacement_IsTheFirstHalfOfAStart(t *testing.T) {
	s := scenario{tasks: []environment.Task{task("old", earlier, "RUNNING")}, status: environment.Running}.state()
	plan := Make(s)
	require.Len(t, plan.Actions, 1)
	stop := plan.Actions[0]
	assert.Equal(t, Stop, stop.Kind)
	assert.Equal(t, environment.Launch{
		Instance: "i1", Deployment: current, TaskDefinition: agent2, State: environment.LaunchReplacing, Task: "old",
		Attempts: 1,
	}, stop.Launch)

	s = done(s, plan)
	s.Tasks[0].LastStatus, s.Tasks[0].DesiredStatus = "STOPPED", "STOPPED"
	s.Tasks[0].StoppedReason, s.Tasks[0].StoppedAt = "a user stopped it", s.Now.Add(-time.Hour)
	plan, instances, _ := makePlan(newFacts(s))
	assert.True(t, instances[0].unavailable)
	require.Len(t, plan.Actions, 1)
	start := plan.Actions[0]
	assert.Equal(t, Start, start.Kind)
	assert.Equal(t, 1, start.Launch.Attempts)
	assert.False(t, start.Launch.HadNoTask)
}

// Other stops make no room for a start.
func TestReplacement_IsNoPartOfOtherStops(t *testing.T) {
	s := scenario{tasks: []environment.Task{
		task("old", earlier, "RUNNING"), task("new", current, "RUNNING"), task("duplicate", current, "PENDING"),
	}}.state()
	plan := Make(s)
	require.NotEmpty(t, plan.Actions)
	for _, a := range plan.Actions {
		assert.Equal(t, Stop, a.Kind)
		assert.Empty(t, a.Launch.Instance, a.Task)
	}
}

func TestReplacement_CountsAttemptsOn(t *testing.T) {
	launch := func(deployment string, state environment.LaunchState, reason string) environment.Launch {
		return environment.Launch{Deployment: deployment, State: state, Reason: reason, Task: "gone", Attempts: 3}
	}
	for name, tc := range map[string]struct {
		last environment.Launch
		want int
	}{
		"of another deployment":   {launch(earlier, environment.LaunchFailed, "AGENT"), 1},
		"after a failure":         {launch(current, environment.LaunchFailed, "AGENT"), 4},
		"after a lost response":   {launch(current, environment.LaunchFailed, ""), 3},
		"after a task that ended": {launch(current, environment.LaunchStarted, ""), 4},
		"again":                   {launch(current, environment.LaunchReplacing, ""), 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFacts(scenario{}.state())
			i := &instanceState{Instance: active("i1"), launch: tc.last, hasLaunch: true, target: f.targets.current}
			assert.Equal(t, tc.want, replacement(f, i, "old").Attempts)
		})
	}
}

// A leader recorded the replacement on i2, and ended before or after it called StopTask. The cluster state still shows
// the task RUNNING. Its successor finishes that stop, and counts the task as lost meanwhile.
func TestReplacement_OfAnEarlierLeaderCountsAsLost(t *testing.T) {
	s := scenario{
		instances: []environment.Instance{active("i1"), active("i2")}, status: environment.Running,
		tasks: []environment.Task{task("old1", earlier, "RUNNING"), at("i2", task("old2", earlier, "RUNNING"))},
	}.state()
	s.Launches["i2"] = environment.Launch{
		Instance: "i2", Deployment: current, State: environment.LaunchReplacing, Task: "old2", Attempts: 1,
	}
	plan := Make(s)
	require.Len(t, plan.Actions, 1, "%v", plan.Actions)
	assert.Equal(t, "old2", plan.Actions[0].Task)
	assert.Equal(t, []Wait{{"i1", plan.Waits[0].Reason}}, plan.Waits)

	s.StopRequestedAt = map[string]time.Time{"old2": s.Now}
	assert.Empty(t, Make(s).Actions, "one stop is enough")
}
