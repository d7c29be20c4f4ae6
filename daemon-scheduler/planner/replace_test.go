package planner

import (
	"testing"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestReplace_StopsSupersededTasksAndDuplicates(t *testing.T) {
	running := task("t1", current, "RUNNING")
	checkScenarios(t, map[string]scenario{
		"a superseded task is stopped before the new one starts": {
			tasks:     []environment.Task{task("t1", earlier, "RUNNING")},
			want:      []string{"stop t1: blox: superseded task of environment logs"},
			requeueIn: time.Minute, wantStatus: environment.Running,
		},
		"a superseded task that is stopping is waited for": {
			tasks: []environment.Task{with(task("t1", earlier, "RUNNING"), stopping)},
			waits: []string{"i1: The old task has not stopped yet."}, wantStatus: environment.Running,
		},
		"a superseded task is waited for before ECS shows that it is stopping": {
			tasks:           []environment.Task{task("t1", earlier, "RUNNING")},
			stopRequestedAt: map[string]time.Time{"t1": now.Add(-10 * time.Second)},
			waits:           []string{"i1: The old task has not stopped yet."}, requeueIn: 50 * time.Second,
			wantStatus: environment.Running,
		},
		"a superseded task that did not stop is stopped again after a minute": {
			tasks:           []environment.Task{task("t1", earlier, "RUNNING")},
			stopRequestedAt: map[string]time.Time{"t1": now.Add(-time.Minute)},
			want:            []string{"stop t1: blox: superseded task of environment logs"},
			requeueIn:       time.Minute, wantStatus: environment.Running,
		},
		"the new task starts once the superseded one has STOPPED": {
			tasks: []environment.Task{task("t1", earlier, "STOPPED")}, want: []string{startI1}, wantStatus: environment.Running,
		},
		"a superseded task beside the current one is stopped": {
			tasks:     []environment.Task{running, task("t2", earlier, "PENDING")},
			want:      []string{"stop t2: blox: superseded task of environment logs"},
			requeueIn: time.Minute, wantStatus: environment.Running,
		},
		"of two tasks the RUNNING one is kept": {
			tasks: []environment.Task{
				with(task("t0", current, "PENDING"), func(t *environment.Task) { t.CreatedAt = now.Add(-time.Hour) }),
				running,
			},
			want:      []string{"stop t0: blox: duplicate task of environment logs"},
			requeueIn: time.Minute, wantStatus: environment.Completed,
		},
		"of two RUNNING tasks the oldest is kept": {
			tasks: []environment.Task{
				with(task("t0", current, "RUNNING"), func(t *environment.Task) { t.CreatedAt = now.Add(-time.Minute) }),
				running,
			},
			want:      []string{"stop t0: blox: duplicate task of environment logs"},
			requeueIn: time.Minute, wantStatus: environment.Completed,
		},
		"of tasks of one age the first by ARN is kept": {
			tasks:     []environment.Task{task("t2", current, "RUNNING"), running},
			want:      []string{"stop t2: blox: duplicate task of environment logs"},
			requeueIn: time.Minute, wantStatus: environment.Completed,
		},
		"a task that is being stopped is not the one to keep": {
			tasks:      []environment.Task{with(task("t0", current, "RUNNING"), stopping), task("t1", current, "PENDING")},
			wantStatus: environment.Running,
		},
		"a task that is being stopped still occupies the instance": {
			tasks: []environment.Task{with(running, stopping)}, wantStatus: environment.Running,
		},
		"tasks that Blox did not start are left alone": {
			tasks: []environment.Task{
				task("t1", foreign, "RUNNING"), task("t2", "", "RUNNING"), task("t3", current, "RUNNING"),
			},
			wantStatus: environment.Completed,
		},
		"tasks on instances that left are left alone": {
			instances: on("INACTIVE", "i1"), tasks: []environment.Task{task("t1", earlier, "RUNNING")},
			wantStatus: environment.Completed,
		},
		"nothing is started while the copy of the cluster is stale": {
			stale: true, waits: []string{"i1: The cluster state is stale."}, requeueIn: time.Second,
			wantStatus: environment.Pending,
		},
		"nothing is stopped while the copy of the cluster is stale": {
			stale: true, tasks: []environment.Task{task("t1", earlier, "RUNNING"), running, task("t2", current, "RUNNING")},
			waits: []string{"i1: The cluster state is stale."}, requeueIn: time.Second, wantStatus: environment.Pending,
		},
		"an empty copy that is stale does not complete": {
			stale: true, instances: []environment.Instance{}, requeueIn: time.Second, wantStatus: environment.Pending,
		},
	})
}
