package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestReason_OfAStartingTaskIsWhatECSShowsOfIt(t *testing.T) {
	pending := task("t1", current, "PENDING")
	pulling := with(pending, func(t *environment.Task) { t.PullStartedAt = now.Add(-9 * time.Minute) })
	const since = "The task has been PENDING since 2026-01-02T02:54:05Z"
	for name, tc := range map[string]struct {
		task environment.Task
		want string
	}{
		"it waits": {pending, since + "."},
		"its creation is unknown": {
			with(pending, func(t *environment.Task) { t.CreatedAt = time.Time{} }), "The task is PENDING.",
		},
		"it pulls images": {pulling, since + "; it has pulled images since 2026-01-02T02:55:05Z."},
		"it has pulled its images": {
			with(pulling, func(t *environment.Task) { t.PullStoppedAt = t.PullStartedAt.Add(35 * time.Second) }),
			since + "; it pulled its images in 35s.",
		},
		"a container has a reason": {
			with(pending, func(t *environment.Task) {
				t.Containers = []environment.Container{{Name: "web", Reason: "CannotPullContainerError"}}
			}),
			since + "; container web: CannotPullContainerError.",
		},
		"it stops": {
			with(pending, func(t *environment.Task) {
				t.DesiredStatus, t.StoppedReason, t.StopCode = "STOPPED", "Task failed to start", "TaskFailedToStart"
			}),
			"The task is stopping: Task failed to start (TaskFailedToStart)",
		},
		"it stops for an unknown reason": {with(pending, stopping), "The task is stopping."},
	} {
		t.Run(name, func(t *testing.T) {
			status := Summarize(scenario{tasks: []environment.Task{tc.task}}.state()).Instances[0]
			assert.Equal(t, environment.InstancePending, status.Phase)
			assert.Equal(t, tc.want, status.Reason)
		})
	}
}

func TestReason_OfAnOverdueTaskHasWhatECSShowsOfIt(t *testing.T) {
	pulling := with(task("t1", current, "PENDING"), func(t *environment.Task) { t.PullStartedAt = now.Add(-time.Minute) })
	s := scenario{tasks: []environment.Task{pulling}}.state()
	d := s.Environment.Deployments[current]
	s.Environment.Revisions = []environment.Revision{{
		Number: d.RevisionNumber(), Spec: environment.Spec{
			TaskDefinition: agent2, DeploymentConfiguration: environment.DeploymentConfiguration{ProgressDeadlineMinutes: 5},
		},
	}}
	s.PendingFor = map[string]time.Duration{"t1": 5 * time.Minute}
	status := Summarize(s).Instances[0]
	assert.Equal(t, environment.InstanceFailed, status.Phase)
	assert.Equal(t, "The task has been PENDING for more than 5 minutes. "+
		"(it has pulled images since 2026-01-02T03:03:05Z)", status.Reason)
}

func TestReason_OfADisconnectedInstanceHasTheTimeOfTheLoss(t *testing.T) {
	const since = "The ECS agent on this instance has been disconnected since 2026-01-02T03:03:05Z."
	away := environment.Instance{ARN: "i1", Status: "ACTIVE"}
	for name, tasks := range map[string][]environment.Task{
		"running": {task("t1", current, "RUNNING")},
		"pending": {task("t1", current, "PENDING")},
		"missing": nil,
	} {
		s := scenario{instances: []environment.Instance{away}, tasks: tasks}.state()
		s.DisconnectedSince = map[string]time.Time{"i1": now.Add(-time.Minute)}
		status := Summarize(s).Instances[0]
		assert.Equal(t, name, string(status.Phase))
		assert.Equal(t, since, status.Reason, name)
	}
}

func TestReason_OfAStoppedTaskHasItsCodeAndItsContainers(t *testing.T) {
	exitCode := int64(137)
	crashed := with(task("t1", current, "STOPPED"), func(t *environment.Task) {
		t.StoppedReason, t.StopCode = "Essential container in task exited", "EssentialContainerExited"
		t.Containers = []environment.Container{
			{Name: "web", ExitCode: &exitCode, Reason: "OutOfMemoryError"}, {Name: "log", Reason: "it was stopped"},
		}
	})
	const detail = "Essential container in task exited (EssentialContainerExited; " +
		"container web exited with code 137: OutOfMemoryError; container log: it was stopped)"
	stopped := scenario{
		tasks:    []environment.Task{crashed},
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Second, named("t1"))},
	}.state()
	plan := Make(stopped)
	assert.Equal(t, detail, plan.Actions[0].Launch.Detail)

	ranBefore := stopped
	ranBefore.Tasks = []environment.Task{with(crashed, ran(time.Hour))}
	status := Summarize(ranBefore).Instances[0]
	assert.Equal(t, environment.InstanceMissing, status.Phase)
	assert.Equal(t, "Replacing a task that stopped. The last task stopped: "+detail, status.Reason)

	assert.Equal(t, "TaskFailedToStart", StopDetail(environment.Task{StopCode: "TaskFailedToStart"}))
	assert.Empty(t, StopDetail(environment.Task{}))
}
