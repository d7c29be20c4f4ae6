package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestDeletion_StopsAllTasks(t *testing.T) {
	deleted := func(r scenario) State {
		s := r.state()
		s.Environment = s.Environment.Delete(now)
		return s
	}
	t.Run("everywhere", func(t *testing.T) {
		plan := Make(deleted(scenario{
			instances: on("DRAINING", "i1"), tasks: []environment.Task{
				task("t1", current, "RUNNING"), task("t2", earlier, "PENDING"), task("t3", foreign, "RUNNING"),
				with(task("t4", current, "RUNNING"), func(t *environment.Task) { t.Instance = "i9" }),
			},
			launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute)},
		}))
		assert.Equal(t, []string{
			"stop t1: blox: deleted environment logs",
			"stop t2: blox: deleted environment logs",
			"stop t4: blox: deleted environment logs",
		}, texts(plan.Actions))
		assert.False(t, plan.DeletionComplete)
		assert.Equal(t, environment.Counts{Pending: 1, Outdated: 2}, plan.Counts, "what is still to stop")
	})
	for name, tc := range map[string]struct {
		scenario
		gone bool
	}{
		"nothing is left": {scenario{}, true},
		"nothing is started": {
			scenario{
				tasks:    []environment.Task{task("t1", current, "STOPPED")},
				launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))},
			},
			true,
		},
		"a task is stopping": {
			scenario{tasks: []environment.Task{with(task("t1", current, "RUNNING"), stopping)}}, false,
		},
		"a launch is open": {
			scenario{launches: []environment.Launch{launch(environment.LaunchOpen, time.Second)}}, false,
		},
		"a task is not seen yet": {
			scenario{launches: []environment.Launch{launch(environment.LaunchStarted, time.Second, named("t1"))}}, false,
		},
		"the cluster state is stale": {scenario{stale: true}, false},
		"nothing was deployed":       {scenario{notDeployed: true}, true},
		"an unsuccessful launch is none": {
			scenario{launches: []environment.Launch{launch(environment.LaunchFailed, time.Second)}}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Make(deleted(tc.scenario))
			assert.Empty(t, plan.Actions)
			assert.Equal(t, tc.gone, plan.DeletionComplete)
			if !plan.DeletionComplete && len(tc.tasks) == 0 {
				assert.NotZero(t, plan.RequeueAt)
			}
		})
	}
	plan := Make(deleted(scenario{launches: []environment.Launch{launch(environment.LaunchOpen, time.Hour)}}))
	assert.Equal(t, []string{"confirm i1: ECS did not respond to StartTask; checking with ECS."}, texts(plan.Actions))
	assert.False(t, Make(scenario{}.state()).DeletionComplete)
}
