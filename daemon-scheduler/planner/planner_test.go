package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const startI1 = "start i1: The instance has no task of the deployment."

func TestMake_StartsATaskOnEachInstance(t *testing.T) {
	running := task("t1", current, "RUNNING")
	failedNow := []environment.FailedInstance{{Arn: "i1", Reason: "RESOURCE:PORTS"}}
	checkScenarios(t, map[string]scenario{
		"without a deployment nothing is done": {notDeployed: true},
		"an empty instance gets a task":        {want: []string{startI1}, wantStatus: environment.Running},
		"a pending deployment starts": {
			status: environment.Pending, want: []string{startI1}, wantStatus: environment.Running,
		},
		"every schedulable instance gets a task": {
			instances:  []environment.Instance{active("i2"), active("i1")},
			want:       []string{startI1, "start i2: The instance has no task of the deployment."},
			wantStatus: environment.Running,
		},
		"nothing is started while the agent is disconnected": {
			instances: []environment.Instance{{ARN: "i1", Status: "ACTIVE"}},
			waits:     []string{"i1: The ECS agent on this instance is disconnected."},
			requeueIn: 10 * time.Minute, wantStatus: environment.Running,
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
			want: []string{startI1}, wantStatus: environment.Running,
		},
		"a failure that v0.3 noted stays listed until it is tried again": {
			legacyFailures: failedNow, want: []string{startI1},
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
	})
}

// checkScenarios compares the plan of each scenario, by its name, with the expected one. Once it is carried out,
// planning again must find nothing else.
func checkScenarios(t *testing.T, scenarios map[string]scenario) {
	t.Helper()
	for name, tc := range scenarios {
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
