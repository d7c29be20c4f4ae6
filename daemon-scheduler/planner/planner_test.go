package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestMake_DecidesForEachInstance(t *testing.T) {
	const start = "start i1: The instance has no task of the deployment."
	running, failedNow := task(
		"t1",
		current,
		"RUNNING",
	), []environment.FailedInstance{
		{Arn: "i1", Reason: "RESOURCE:PORTS"},
	}
	for name, tc := range map[string]scenario{
		"without a deployment nothing is done": {notDeployed: true},
		"an empty instance gets a task":        {want: []string{start}, wantStatus: environment.Running},
		"a pending deployment starts": {
			status: environment.Pending, want: []string{start}, wantStatus: environment.Running,
		},
		"every schedulable instance gets a task": {
			instances: []environment.Instance{active("i2"), active("i1")},
			want:      []string{start, "start i2: The instance has no task of the deployment."}, wantStatus: environment.Running,
		},
		"nothing is started while the agent is disconnected": {
			instances: []environment.Instance{{ARN: "i1", Status: "ACTIVE"}},
			waits:     []string{"i1: The ECS agent on this instance is disconnected."}, requeueIn: 10 * time.Minute, wantStatus: environment.Running,
		},
		"nothing is started on a DRAINING instance": {
			instances: on("DRAINING", "i1"),
			waits:     []string{"i1: The instance is DRAINING."}, wantStatus: environment.Running,
		},
		"nothing is started on a REGISTERING instance": {
			instances: on("REGISTERING", "i1"),
			waits:     []string{"i1: The instance is REGISTERING."}, wantStatus: environment.Running,
		},
		"an INACTIVE instance has left": {instances: on("INACTIVE", "i1"), wantStatus: environment.Completed},
		"the task on a DRAINING instance stays while there are others": {
			instances: on("DRAINING", "i1"), tasks: []environment.Task{running, task("t2", foreign, "RUNNING")},
			wantStatus: environment.Running,
			waits:      []string{"i1: The instance is draining; other tasks still run on it."},
		},
		"the task on a DRAINING instance stops when only daemons remain": {
			instances: on("DRAINING", "i1"), tasks: []environment.Task{running, task("t2", foreign, "STOPPED")},
			want: []string{"stop t1: blox: the instance is draining, environment logs"}, requeueIn: time.Minute,
			wantStatus: environment.Running,
		},
		"a superseded task on a DRAINING instance stays, as nothing could replace it": {
			instances: on("DRAINING", "i1"),
			tasks:     []environment.Task{task("t1", earlier, "RUNNING"), task("t2", foreign, "PENDING")},
			waits:     []string{"i1: The instance is draining; other tasks still run on it."}, wantStatus: environment.Running,
		},
		"an empty cluster completes": {
			instances: []environment.Instance{}, wantStatus: environment.Completed,
		},
		"a deployment is completed when its task is RUNNING": {
			tasks: []environment.Task{running}, wantStatus: environment.Completed,
		},
		"a deployment is not completed while its task is PENDING": {
			tasks: []environment.Task{task("t1", current, "PENDING")}, wantStatus: environment.Running,
		},
		"a deployment is not completed by a task that is stopping": {
			tasks: []environment.Task{with(running, stopping)}, wantStatus: environment.Running,
		},
		"a deployment is completed with one instance RUNNING and one failed": {
			instances: []environment.Instance{active("i1"), active("i2")},
			tasks:     []environment.Task{with(running, func(t *environment.Task) { t.Instance = "i2" })},
			launches: []environment.Launch{
				launch(environment.LaunchFailed, time.Minute, because("RESOURCE:PORTS", time.Minute)),
			},
			waits: []string{"i1: Backing off after a failure: RESOURCE:PORTS"}, requeueIn: time.Minute,
			wantStatus: environment.Completed, health: environment.Unhealthy, failed: failedNow,
		},
		"a deployment with failures only is not completed": {
			launches: []environment.Launch{
				launch(environment.LaunchFailed, time.Minute, because("RESOURCE:PORTS", time.Minute)),
			},
			waits: []string{"i1: Backing off after a failure: RESOURCE:PORTS"}, requeueIn: time.Minute,
			wantStatus: environment.Running, health: environment.Unhealthy, failed: failedNow,
		},
		"a failure is retried after its delay and stays listed": {
			launches:   []environment.Launch{launch(environment.LaunchFailed, time.Minute, because("RESOURCE:PORTS", 0))},
			want:       []string{"start i1: Retrying after a failed attempt."},
			wantStatus: environment.Running, health: environment.Unhealthy, failed: failedNow,
		},
		"an instance that has its task has not failed": {
			tasks: []environment.Task{running},
			launches: []environment.Launch{
				launch(environment.LaunchFailed, time.Minute, because("RESOURCE:PORTS", time.Minute)),
			},
			want: []string{"record i1: The task was found."}, wantStatus: environment.Completed,
		},
		"a failure of an earlier deployment does not hold back the next": {
			launches: []environment.Launch{
				launch(environment.LaunchFailed, time.Minute, of(earlier), because("AGENT", time.Minute)),
			},
			want: []string{start}, wantStatus: environment.Running,
		},
		"a failure that v0.3 noted stays listed until it is tried again": {
			legacyFailures: failedNow, want: []string{start},
			wantStatus: environment.Running, health: environment.Unhealthy, failed: failedNow,
		},
		"a failure that v0.3 recorded ends when the task runs": {
			legacyFailures: failedNow, tasks: []environment.Task{running}, wantStatus: environment.Completed,
		},
		"the record of an instance that left is forgotten": {
			instances: []environment.Instance{},
			launches:  []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))},
			want:      []string{"forget i1: The instance left the cluster."}, wantStatus: environment.Completed,
		},
		"the record of an instance that left is kept while it is open": {
			instances: []environment.Instance{}, launches: []environment.Launch{launch(environment.LaunchOpen, 0)},
			requeueIn: 40 * time.Second, wantStatus: environment.Completed,
		},

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
			tasks: []environment.Task{task("t1", earlier, "STOPPED")}, want: []string{start}, wantStatus: environment.Running,
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
			stale: true, waits: []string{"i1: The cluster state is not up to date."}, requeueIn: time.Second,
			wantStatus: environment.Pending,
		},
		"nothing is stopped while the copy of the cluster is stale": {
			stale: true, tasks: []environment.Task{task("t1", earlier, "RUNNING"), running, task("t2", current, "RUNNING")},
			waits: []string{"i1: The cluster state is not up to date."}, requeueIn: time.Second, wantStatus: environment.Pending,
		},

		"an empty copy that is stale does not complete": {
			stale: true, instances: []environment.Instance{}, requeueIn: time.Second, wantStatus: environment.Pending,
		},

		"an open launch occupies the instance": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 0)},
			waits:    []string{"i1: StartTask was not answered yet."}, requeueIn: 40 * time.Second,
			wantStatus: environment.Running,
		},
		"an open launch of an earlier deployment occupies the instance": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 39*time.Second, of(earlier))},
			waits:    []string{"i1: StartTask was not answered yet."}, requeueIn: time.Second, wantStatus: environment.Running,
		},
		"an open launch is confirmed after the timeout": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 40*time.Second)},
			want:     []string{"confirm i1: StartTask was not answered; checking with ECS."}, wantStatus: environment.Running,
		},
		"an open launch of an unknown deployment is confirmed after the timeout": {
			launches:   []environment.Launch{launch(environment.LaunchOpen, 40*time.Second, of(foreign))},
			want:       []string{"confirm i1: StartTask was not answered; checking with ECS."},
			wantStatus: environment.Running, next: []string{start},
		},
		"an open launch stays open while StartTask may be under way, though a task is visible": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 20*time.Second)}, tasks: []environment.Task{running},
			waits: []string{"i1: StartTask was not answered yet."}, requeueIn: 20 * time.Second,
			wantStatus: environment.Completed,
		},
		"an open launch whose task is visible is not confirmed with ECS": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 40*time.Second)}, tasks: []environment.Task{running},
			want: []string{"record i1: The task was found."}, wantStatus: environment.Completed,
		},
		"a started launch of an unknown deployment does not occupy the instance": {
			launches: []environment.Launch{launch(environment.LaunchStarted, time.Second, of(foreign), named("t9"))},
			want:     []string{start}, wantStatus: environment.Running,
		},
		"a started task that is not seen yet occupies the instance": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Second, named("t1"))},
			waits:    []string{"i1: The task has not appeared in the cluster state yet."}, requeueIn: 30 * time.Second,
			wantStatus: environment.Running,
		},
		"a started task that was never seen is confirmed with ECS": {
			launches:   []environment.Launch{launch(environment.LaunchStarted, 40*time.Second, named("t1"))},
			want:       []string{"confirm i1: The task has not appeared in the cluster state; checking with ECS."},
			wantStatus: environment.Running,
		},
		"a started task that was never seen is confirmed again later": {
			launches: []environment.Launch{
				launch(environment.LaunchStarted, time.Minute, named("t1"), because("", 12*time.Second)),
			},
			waits: []string{"i1: The task has not appeared in the cluster state yet."}, requeueIn: 12 * time.Second,
			wantStatus: environment.Running,
		},
		"a superseded task that is not seen yet occupies the instance": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Second, of(earlier), named("t1"))},
			waits:    []string{"i1: The task has not appeared in the cluster state yet."}, requeueIn: 30 * time.Second,
			wantStatus: environment.Running,
		},

		"the first task that stops after it ran is replaced at once": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 15*time.Second, named("t1"))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(3*time.Second))},
			want:     []string{"start i1: Replacing a task that stopped."}, wantStatus: environment.Running,
		},
		"a task that never ran is replaced after 10 s": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 15*time.Second, named("t1"))},
			tasks:    []environment.Task{task("t1", current, "STOPPED")},
			want:     []string{"record i1: The task keeps stopping."}, requeueIn: 5 * time.Second,
			wantStatus: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
		"the third task that stops after it ran is replaced after 20 s": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 12*time.Second, named("t1"), attempt(3), failures(2))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(3*time.Second))},
			want:     []string{"record i1: The task keeps stopping."}, requeueIn: 18 * time.Second,
			wantStatus: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
		"the hundredth task that stops after it ran is replaced after 5 min": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Second, named("t1"), attempt(100), failures(99))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(3*time.Second))},
			want:     []string{"record i1: The task keeps stopping."}, requeueIn: 5 * time.Minute,
			wantStatus: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
		"a task that ran for five minutes is replaced at once": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 6*time.Minute, named("t1"), attempt(100))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(5*time.Minute))},
			want:     []string{"start i1: Replacing a task that stopped."}, wantStatus: environment.Running,
		},
		"a task without a launch record is replaced at once": {
			tasks: []environment.Task{task("t1", current, "STOPPED")}, want: []string{start}, wantStatus: environment.Running,
		},
		"a deployment whose tasks all stopped is not completed": {
			tasks: []environment.Task{task("t1", current, "STOPPED")},
			launches: []environment.Launch{
				launch(environment.LaunchFailed, time.Minute, named("t1"), because("STOPPED", time.Minute)),
			},
			waits: []string{"i1: Backing off after a failure: STOPPED"}, requeueIn: time.Minute,
			wantStatus: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.state()
			plan := Make(s)
			assert.Equal(t, tc.want, texts(plan.Actions))
			var waits []string
			for _, w := range plan.Waits {
				waits = append(waits, w.Instance+": "+w.Reason)
			}
			assert.Equal(t, tc.waits, waits)
			var until time.Time
			if tc.requeueIn != 0 {
				until = now.Add(tc.requeueIn)
			}
			assert.Equal(t, until, plan.RequeueAt)
			assert.Equal(t, tc.wantStatus, plan.Progress.Status, "status")
			assert.Equal(t, tc.health, plan.Progress.Health, "health")
			assert.Equal(t, tc.failed, plan.Failed)
			for _, a := range plan.Actions {
				if a.Kind != Stop {
					assert.Equal(
						t,
						s.Launches[a.Instance].StoredVersion,
						a.Launch.StoredVersion,
						"replaces the record it was made from",
					)
				}
			}

			again := Make(done(s, plan))
			assert.Equal(t, tc.next, texts(again.Actions), "planning again finds work")
		})
	}
}

func TestMake_CountsAttempts(t *testing.T) {
	attempts := func(r scenario) int { return Make(r.state()).Actions[0].Launch.Attempts }
	dead := task("t1", current, "STOPPED")
	assert.Equal(t, 1, attempts(scenario{}))
	assert.Equal(
		t,
		5,
		attempts(
			scenario{
				launches: []environment.Launch{
					launch(environment.LaunchFailed, time.Minute, attempt(4), because("AGENT", -time.Second)),
				},
			},
		),
	)
	assert.Equal(
		t,
		4,
		attempts(scenario{launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, attempt(4))}}),
		"ECS knows nothing of it",
	)
	assert.Equal(
		t,
		1,
		attempts(
			scenario{launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, of(earlier), attempt(4))}},
		),
	)
	assert.Equal(t, 2, attempts(scenario{
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Minute, named("t1"))},
		tasks:    []environment.Task{with(dead, ran(time.Second))},
	}))
	assert.Equal(t, 1, attempts(scenario{
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"), attempt(9))},
		tasks:    []environment.Task{with(dead, ran(6*time.Minute))},
	}))
}

func TestMake_HoldsWhenTheInstanceGroupCannotBeParsed(t *testing.T) {
	s := only(scenario{
		instances: []environment.Instance{active("i1"), active("i2")},
		tasks:     []environment.Task{task("t1", current, "RUNNING"), task("t2", earlier, "RUNNING")},
	}, "a later language")
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	require.Len(t, plan.Waits, 1)
	assert.Contains(t, plan.Waits[0].Reason, "The instance group cannot be parsed: query: column 1: ")
}

// A deployment whose task may live unseen stays in the history. Otherwise the task would belong to no deployment.
func TestPlan_KeepsDeploymentsWithUnconfirmedLaunchesInUse(t *testing.T) {
	other := task("t2", current, "RUNNING")
	other.Instance = "i2"
	for name, l := range map[string]environment.Launch{
		"open":                 launch(environment.LaunchOpen, 5*time.Second, of(earlier)),
		"started and not seen": launch(environment.LaunchStarted, 5*time.Second, of(earlier), named("t1")),
	} {
		t.Run(name, func(t *testing.T) {
			s := scenario{
				instances: []environment.Instance{{ARN: "i1", Status: "ACTIVE"}, active("i2")}, // i1's agent is away
				tasks:     []environment.Task{other}, launches: []environment.Launch{l},
			}.state()
			s.DisconnectedSince = map[string]time.Time{"i1": now.Add(-time.Hour)}
			plan := Make(s)
			assert.Equal(t, environment.Completed, plan.Progress.Status)
			assert.True(t, plan.InUse[earlier])
		})
	}
}

// A deployment without an id in the record must not match the zero launch.
func TestMake_ToleratesADeploymentWithoutAnID(t *testing.T) {
	s := scenario{}.state()
	s.Environment.Deployments[""] = environment.Deployment{Status: environment.Completed}
	for _, a := range Make(s).Actions {
		assert.Equal(t, "i1", a.Instance)
	}
}
