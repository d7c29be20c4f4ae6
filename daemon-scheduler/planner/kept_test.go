package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// touchedRollout returns a rollout on four instances of which one may be unavailable. It has stopped the task of i1,
// and shows another one running there.
func touchedRollout(t *testing.T, shown environment.Task) State {
	t.Helper()
	s := scenario{
		instances: on("ACTIVE", "i1", "i2", "i3", "i4"), status: environment.Running,
		tasks: []environment.Task{
			task("old1", earlier, "STOPPED"), shown, at("i2", task("old2", earlier, "RUNNING")),
			at("i3", task("old3", earlier, "RUNNING")), at("i4", task("old4", earlier, "RUNNING")),
		},
	}.state()
	s.Environment.Revisions = []environment.Revision{
		{Spec: environment.Spec{TaskDefinition: agent2, DeploymentConfiguration: percent(75, 100)}},
	}
	s.Launches["i1"] = launch(environment.LaunchReplacing, time.Minute, named("old1"))
	return s
}

func stopsThatMakeRoom(plan Plan) (tasks []string) {
	for _, a := range plan.Actions {
		if a.MakesRoom() {
			tasks = append(tasks, a.Task)
		}
	}
	return tasks
}

func TestCounted_NamesTheTasksOnInstancesThatTheRolloutHasChanged(t *testing.T) {
	for name, shown := range map[string]environment.Task{
		"of the previous deployment": task("shown", earlier, "RUNNING"),
		"of the current deployment": with(task("shown", current, "RUNNING"), func(task *environment.Task) {
			task.StartedAt = now.Add(-time.Hour)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			s := touchedRollout(t, shown)
			plan := Make(s)
			require.Len(t, stopsThatMakeRoom(plan), 1, "%v", texts(plan.Actions))
			assert.Equal(t, []string{"shown"}, plan.Counted)

			s.Unconfirmed = map[string]bool{"shown": true}
			plan = Make(s)
			assert.Empty(t, stopsThatMakeRoom(plan), "the instance counts as unavailable")
			assert.Empty(t, plan.Counted)
		})
	}
}

func TestCounted_IsEmptyUnlessAStopMakesRoom(t *testing.T) {
	s := touchedRollout(t, task("shown", earlier, "RUNNING"))
	s.Environment.Paused = true
	assert.Empty(t, Make(s).Counted)

	first := touchedRollout(t, task("old1b", earlier, "RUNNING"))
	delete(first.Launches, "i1")
	first.Tasks = first.Tasks[1:]
	plan := Make(first)
	assert.NotEmpty(t, stopsThatMakeRoom(plan))
	assert.Empty(t, plan.Counted, "the rollout has changed no instance yet")
}

func TestKept_NamesTheTasksBecauseOfWhichOthersAreStopped(t *testing.T) {
	s := scenario{status: environment.Running, tasks: []environment.Task{
		task("old", earlier, "RUNNING"), task("new", current, "RUNNING"), task("other", current, "RUNNING"),
		with(task("stopping", current, "RUNNING"), stopping),
	}}.state()
	plan := Make(s)
	assert.ElementsMatch(t, []string{
		"stop old: blox: superseded task of environment logs", "stop other: blox: duplicate task of environment logs",
	}, texts(plan.Actions))
	for _, a := range plan.Actions {
		assert.Equal(t, []string{"new"}, a.Kept, a.Task)
	}
}

// A task whose stop was requested is no reason to stop another one as its duplicate.
func TestKept_StopsNoDuplicateOfATaskThatIsAboutToStop(t *testing.T) {
	s := scenario{
		status: environment.Running, stopRequestedAt: map[string]time.Time{"kept": now},
		tasks: []environment.Task{task("kept", current, "RUNNING"), task("other", current, "RUNNING")},
	}.state()
	assert.Empty(t, texts(Make(s).Actions))
}
