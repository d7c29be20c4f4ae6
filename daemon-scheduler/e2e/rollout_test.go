package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// slowTasks makes tasks start and stop slowly, so that the tests see a rollout in progress and several instances
// change at once, also on a busy machine.
var slowTasks = ecssim.Config{PendingDelay: 200 * time.Millisecond, StopDelay: 200 * time.Millisecond}

// rollout is an environment "logs" that has been rolled out to some instances, with a second revision of its task
// definition.
type rollout struct {
	*scheduler
	css       string
	instances []string
	first     string // the deployment of agent:1, completed
}

func newRollout(t *testing.T, n int, configuration string) *rollout {
	t.Helper()
	w := newSystemWith(t, slowTasks)
	f := &rollout{instances: w.sim.AddInstances("prod", n)}
	f.css, _ = w.startCSS("127.0.0.1:0")
	f.scheduler = f.startReplica(w)
	require.NotEmpty(t, w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64)))
	var made models.Environment
	f.mustSend("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},`+
		`"taskDefinition":"agent:1","deploymentConfiguration":`+configuration+`}`, &made)
	f.awaitReady()
	f.first = f.deploy(made)
	f.awaitCompleted("logs", f.first)
	require.Len(t, w.liveTasks(f.first), n)
	w.sim.ResetCounters()
	return f
}

// startReplica runs one more daemon-scheduler.
func (f *rollout) startReplica(w *system) *scheduler {
	return w.startScheduler(f.css, "--change-rate", "1000", "--read-rate", "1000", "--start-confirm-timeout", "1s")
}

// deployPatch deploys a changed environment.
func (f *rollout) deployPatch(patch string) (id string) {
	f.t.Helper()
	return f.deploy(f.patch("logs", patch))
}

// awaitMiddle waits until some instances have a running task of the deployment.
func (f *rollout) awaitMiddle(id string) {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool { return f.runningTasks(id) > len(f.instances)/5 }, "the rollout does not go on")
	require.Less(f.t, f.runningTasks(id), len(f.instances), "the rollout has ended")
}

func (f *rollout) runningTasks(id string) (running int) {
	for _, tasks := range f.liveTasks(id) {
		for _, task := range tasks {
			if task.LastStatus == "RUNNING" && task.DesiredStatus == "RUNNING" {
				running++
			}
		}
	}
	return running
}

// assertLimits fails the test unless at least so many instances had a running agent all the time, and at most so many
// two.
func (f *rollout) assertLimits(running, doubled int) {
	f.t.Helper()
	counted := f.sim.Counters()
	assert.GreaterOrEqual(f.t, counted.FewestRunning["agent"], running, "of %d", len(f.instances))
	assert.LessOrEqual(f.t, counted.MostDuplicated["agent"], doubled, "of %d", len(f.instances))
	f.assertNoDuplicates()
}

// awaitState waits until the deployment is in that state.
func (f *rollout) awaitState(id, state string) models.Deployment {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool {
		return f.getDeployment("logs", id).RolloutState == state
	}, "%s is not %s", id, state)
	return f.getDeployment("logs", id)
}

// newestDeployment is the id of the newest deployment.
func (f *rollout) newestDeployment() string { return f.listDeployments("logs")[0].ID.String() }

// taskByInstance is the ARNs of the live tasks of a deployment, by instance.
func (f *rollout) taskByInstance(id string) map[string]string {
	arns := map[string]string{}
	for instance, tasks := range f.liveTasks(id) {
		arns[instance] = tasks[0].ARN
	}
	return arns
}

func TestRollout_KeepsWithinPercentages(t *testing.T) {
	t.Parallel()
	n := 200
	if testenv.RaceEnabled {
		n = 40
	}
	for name, tc := range map[string]struct {
		configuration  string
		lack, doubled  int // in percent
		leastAtOnce    int
		atOnceByStarts bool
	}{
		"as by default":         {`{}`, 10, 0, n / 20, false},
		"half of it at a time":  {`{"minimumHealthyPercent":50}`, 50, 0, n / 4, false},
		"the new tasks first":   {`{"minimumHealthyPercent":100,"maximumPercent":150}`, 0, 50, n / 4, true},
		"the new tasks at once": {`{"maximumPercent":200}`, 0, 100, n / 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRollout(t, n, tc.configuration)
			id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
			f.awaitState(id, "COMPLETED")
			f.awaitOneTaskEach(id, f.instances...)
			f.assertLimits(n-n*tc.lack/100, n*tc.doubled/100)
			counted := f.sim.Counters()
			if tc.atOnceByStarts {
				assert.GreaterOrEqual(t, counted.MostDuplicated["agent"], tc.leastAtOnce, "the rollout uses its budget")
			} else {
				assert.LessOrEqual(t, counted.FewestRunning["agent"], n-tc.leastAtOnce, "the rollout uses its budget")
			}
		})
	}
}

func TestRollout_LimitsFailingTaskDefinition(t *testing.T) {
	t.Parallel()
	const n, lack = 20, 10
	faults := ecssim.Faults{
		FailToRun: map[string]float64{"never-runs": 1},
		Exits:     map[string]ecssim.Exit{"dies": {Fraction: 1, After: ecssim.Duration(10 * time.Millisecond), ExitCode: 1}},
	}
	bad := func(t *testing.T, family, breaker string) (f *rollout, id string, before map[string]string) {
		t.Helper()
		f = newRollout(t, n, `{"minimumHealthyPercent":50,"deploymentCircuitBreaker":`+breaker+`}`)
		f.sim.SetFaults(faults)
		memory := 64
		if family == "does-not-fit" {
			memory = 100_000
		}
		require.NotEmpty(t, f.sim.RegisterTaskDefinition(family, ecssim.WithMemory(memory)))
		before = f.taskByInstance(f.first)
		return f, f.deployPatch(`{"taskDefinition":"` + family + `"}`), before
	}
	for family, reason := range map[string]string{
		"never-runs": "Task failed to start", "dies": "failures (threshold 5).", "does-not-fit": "RESOURCE:MEMORY on arn:",
	} {
		t.Run(family+", and rolls back", func(t *testing.T) {
			t.Parallel()
			f, id, before := bad(t, family, `{"enable":true,"rollback":true,"threshold":5}`)
			failed := f.awaitState(id, "FAILED")
			assert.Contains(t, failed.RolloutStateReason, reason)
			assert.Equal(t, "completed", *failed.Status)
			assert.GreaterOrEqual(t, failed.FailedTasks, int64(5))
			assert.NotNil(t, failed.FinishedAt)
			back := f.newestDeployment()
			shown := f.awaitState(back, "COMPLETED")
			assert.Equal(t, id, shown.RollbackOf)
			assert.EqualValues(t, 1, shown.Revision)
			testenv.Eventually(t, func() bool {
				return f.runningTasks(f.first)+f.runningTasks(back) == n && len(f.liveTasks(id)) == 0
			})
			kept := 0
			for instance, task := range f.taskByInstance(f.first) {
				assert.Equal(t, before[instance], task, "it was started anew")
				kept++
			}
			assert.GreaterOrEqual(t, kept, n-lack)
			assert.Less(t, kept, n)
			f.assertLimits(n-lack, 0)
			testenv.Eventually(t, func() bool { return *f.getEnvironment("logs").Health == "healthy" })
			assert.Equal(t, "active", f.getEnvironment("logs").Status)
		})
	}
	t.Run("without a circuit breaker it goes no further", func(t *testing.T) {
		t.Parallel()
		f, id, before := bad(t, "dies", `{}`)
		waiting := func() (turn int) {
			for _, status := range f.instanceStatuses("logs") {
				if status == "outdated: Waiting for the rollout: at most 10 instances may be without a running task." {
					turn++
				}
			}
			return turn
		}
		testenv.Eventually(t, func() bool {
			return waiting() == n-lack && f.runningTasks(f.first) == n-lack && f.getDeployment("logs", id).FailedTasks >= 2*lack
		}, "it does not come to rest")
		for instance, task := range f.taskByInstance(f.first) {
			assert.Equal(t, before[instance], task)
		}
		assert.Equal(t, "IN_PROGRESS", f.getDeployment("logs", id).RolloutState)
		assert.Equal(t, "unhealthy", *f.getEnvironment("logs").Health)
		f.assertLimits(n-lack, 0)
	})
	t.Run("beside the old tasks it takes none with it", func(t *testing.T) {
		t.Parallel()
		f := newRollout(t, n, `{"maximumPercent":200}`)
		f.sim.SetFaults(faults)
		require.NotEmpty(t, f.sim.RegisterTaskDefinition("dies"))
		before := f.taskByInstance(f.first)
		id := f.deployPatch(`{"taskDefinition":"dies"}`)
		testenv.Eventually(t, func() bool { return f.getDeployment("logs", id).FailedTasks >= n })
		assert.Equal(t, before, f.taskByInstance(f.first))
		f.assertLimits(n, 0)
		assert.Equal(t, "IN_PROGRESS", f.getDeployment("logs", id).RolloutState)
	})
	t.Run("without rollback the environment is paused", func(t *testing.T) {
		t.Parallel()
		f, id, _ := bad(t, "never-runs", `{"enable":true,"threshold":5}`)
		f.awaitState(id, "FAILED")
		e := f.getEnvironment("logs")
		assert.Equal(t, "paused", e.Status)
		assert.Equal(t, id, e.PausedBy)
		assert.Equal(t, id, f.newestDeployment(), "nothing rolls back")
		f.assertLimits(n-lack, 0)

		good := f.deployPatch(`{"taskDefinition":"agent:2"}`) // which ends the pause
		f.awaitState(good, "COMPLETED")
		f.awaitOneTaskEach(good, f.instances...)
		f.assertLimits(n-lack, 0)
	})
	t.Run("as the first that there is", func(t *testing.T) {
		t.Parallel()
		w := newSystem(t)
		w.sim.AddInstances("prod", 4)
		w.sim.SetFaults(faults)
		require.NotEmpty(t, w.sim.RegisterTaskDefinition("never-runs"))
		d := w.startServices()
		var e models.Environment
		d.mustSend("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"never-runs",
			"deploymentConfiguration":{"deploymentCircuitBreaker":{"enable":true,"rollback":true}}}`, &e)
		f := &rollout{scheduler: d}
		f.awaitState(d.deploy(e), "FAILED")
		assert.Equal(t, "paused", d.getEnvironment("logs").Status, "there is nothing to go back to")
	})
}

func TestRollout_StartsWithCanary(t *testing.T) {
	t.Parallel()
	const n = 10
	for name, tc := range map[string]struct {
		canary string
		picked func(f *rollout) []string
	}{
		"in percent": {`{"percent":20}`, func(f *rollout) (picked []string) {
			for instance := range f.liveTasks(f.newestDeployment()) {
				picked = append(picked, instance)
			}
			return picked
		}},
		"by a query": {`{"query":"attribute:stage == canary"}`, func(f *rollout) []string { return f.instances[3:5] }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRollout(t, n, `{}`)
			for _, i := range f.instances[3:5] {
				f.setAttribute(i, "stage", "canary")
				require.NoError(t, f.sim.SetAgentConnected(i, false)) // the event carries the attribute
				require.NoError(t, f.sim.SetAgentConnected(i, true))
			}
			before := f.taskByInstance(f.first)
			id := f.deployPatch(`{"taskDefinition":"agent:2","deploymentConfiguration":{"minimumHealthyPercent":50,"canary":` +
				tc.canary + `}}`)
			testenv.Eventually(t, func() bool {
				return f.runningTasks(id) == 2 && f.runningTasks(f.first) == n-2
			}, "the canary does not run")
			picked := tc.picked(f)
			f.awaitOneTaskEach(id, picked...)
			waits := 0
			testenv.Eventually(t, func() bool {
				waits = 0
				for _, status := range f.instanceStatuses("logs") {
					if status == "outdated: The deployment is waiting for promotion." {
						waits++
					}
				}
				return waits == n-2
			}, "the others do not wait")

			// Both deployments have a start in one plan.
			f.mustSend("POST", "/v1/environments/logs/pause", "", nil)
			joined := f.sim.AddInstances("prod", 1)[0]
			f.instances = append(f.instances, joined)
			require.NoError(t, f.sim.KillTask(f.taskByInstance(id)[picked[0]], 1))
			testenv.Eventually(t, func() bool {
				placed := f.instanceStatuses("logs")
				return strings.HasPrefix(placed[joined], "missing") && strings.HasPrefix(placed[picked[0]], "missing")
			})
			f.mustSend("POST", "/v1/environments/logs/resume", "", nil)
			f.awaitOneTaskEach(id, picked...)
			testenv.Eventually(t, func() bool {
				return f.runningTasks(f.first) == n-1
			}, "a new instance gets the last completed revision")
			for _, task := range f.liveTasks(f.first)[joined] {
				assert.Equal(t, f.agent, task.TaskDefinitionARN)
			}
			for _, task := range f.liveTasks(id)[picked[0]] {
				assert.NotEqual(t, f.agent, task.TaskDefinitionARN)
			}
			assert.Equal(t, "IN_PROGRESS", f.getDeployment("logs", id).RolloutState)
			for instance, task := range f.taskByInstance(f.first) {
				if instance != joined {
					assert.Equal(t, before[instance], task)
				}
			}
			for range 2 { // it is idempotent
				var promoted models.Deployment
				f.mustSend("POST", "/v1/environments/logs/deployments/"+id+"/promote", "", &promoted)
				assert.True(t, promoted.Promoted)
			}
			f.awaitState(id, "COMPLETED")
			f.awaitOneTaskEach(id, f.instances...)
			f.assertLimits(n-n/2, 0)
		})
	}
}

// What users do in the middle of a rollout.
func TestRollout_CanBeChangedInProgress(t *testing.T) {
	t.Parallel()
	const n, lack = 20, 6
	begin := func(t *testing.T) (f *rollout, id, path string) {
		t.Helper()
		f = newRollout(t, n, `{"minimumHealthyPercent":70}`)
		id = f.deployPatch(`{"taskDefinition":"agent:2"}`)
		f.awaitMiddle(id)
		return f, id, "/v1/environments/logs"
	}
	t.Run("stop and go back", func(t *testing.T) {
		t.Parallel()
		f, id, path := begin(t)
		f.mustSend("POST", path+"/deployments/"+id+"/stop?type=ROLLBACK", "", nil)
		assert.Equal(t, "STOPPED", f.getDeployment("logs", id).RolloutState)
		back := f.newestDeployment()
		assert.Equal(t, id, f.awaitState(back, "COMPLETED").RollbackOf)
		testenv.Eventually(t, func() bool {
			return f.runningTasks(f.first)+f.runningTasks(back) == n && len(f.liveTasks(id)) == 0
		})
		assert.Positive(t, f.runningTasks(f.first), "some were never touched")
		testenv.Eventually(t, func() bool { // it counts those as its own
			shown, first := f.getDeployment("logs", back).RunningCount, f.getDeployment("logs", f.first).RunningCount
			return shown != nil && *shown == n && first != nil && *first == 0
		})
		f.assertLimits(n-lack, 0)
	})
	t.Run("abort, and resume", func(t *testing.T) {
		t.Parallel()
		f, id, path := begin(t)
		f.mustSend("POST", path+"/deployments/"+id+"/stop?type=ABORT", "", nil)
		assert.Equal(t, "paused", f.getEnvironment("logs").Status)
		f.awaitIdle()
		assert.Positive(t, f.runningTasks(id))
		assert.Positive(t, f.runningTasks(f.first))
		assert.Equal(t, id, f.newestDeployment())
		f.mustSend("POST", path+"/resume", "", nil) // maintains the completed deployment
		f.awaitOneTaskEach(f.first, f.instances...)
		f.assertLimits(n-lack, 0)
	})
	t.Run("pause and resume", func(t *testing.T) {
		t.Parallel()
		f, id, path := begin(t)
		f.mustSend("POST", path+"/pause", "", nil)
		f.awaitIdle()
		assert.Equal(t, "IN_PROGRESS", f.getDeployment("logs", id).RolloutState)
		f.mustSend("POST", path+"/resume", "", nil)
		f.awaitState(id, "COMPLETED")
		f.awaitOneTaskEach(id, f.instances...)
		f.assertLimits(n-lack, 0)
	})
	t.Run("another update", func(t *testing.T) {
		t.Parallel()
		f, id, _ := begin(t)
		next := f.deployPatch(`{"taskDefinition":"agent:1","drainOrder":1}`)
		assert.Equal(t, "STOPPED", f.getDeployment("logs", id).RolloutState)
		f.awaitState(next, "COMPLETED")
		f.awaitOneTaskEach(next, f.instances...)
		f.assertLimits(n-lack, 0)
	})
	t.Run("from the new tasks first to the old ones", func(t *testing.T) {
		t.Parallel()
		f := newRollout(t, n, `{"minimumHealthyPercent":70,"maximumPercent":200}`)
		id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
		testenv.Eventually(t, func() bool { return len(f.liveTasks(id)) > n/3 })
		next := f.deployPatch(`{"deploymentConfiguration":{"maximumPercent":null}}`)
		f.awaitState(next, "COMPLETED")
		f.awaitOneTaskEach(next, f.instances...)
		f.assertLimits(n-lack, n)
	})
	t.Run("the leader goes", func(t *testing.T) {
		t.Parallel()
		f := newRollout(t, n, `{"minimumHealthyPercent":70}`)
		second := f.startReplica(f.system)
		id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
		f.awaitMiddle(id)
		f.stop()
		f.scheduler = second
		f.awaitState(id, "COMPLETED")
		f.awaitOneTaskEach(id, f.instances...)
		f.assertLimits(n-lack, 0)
	})
}

// awaitIdle waits until nothing is on its way any more. What was called before the pause may still come.
func (f *rollout) awaitIdle() {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool {
		for _, task := range f.sim.Tasks("prod") {
			if task.Live() && (task.LastStatus != "RUNNING" || task.DesiredStatus != "RUNNING") {
				return false
			}
		}
		return !f.hasOpenLaunches("logs")
	}, "it does not come to rest")
}

func TestRollout_BakesBeforeCompletion(t *testing.T) {
	t.Parallel()
	f := newRollout(t, 3, `{"minimumHealthyPercent":0}`)
	id := f.deployPatch(`{"taskDefinition":"agent:2","deploymentConfiguration":{"bakeTimeInMinutes":1}}`)
	f.awaitOneTaskEach(id, f.instances...)
	testenv.Eventually(t, func() bool { return f.getDeployment("logs", id).BakeStartedAt != nil }, "it does not bake")
	shown := f.getDeployment("logs", id)
	assert.Equal(t, "IN_PROGRESS", shown.RolloutState)
	assert.Equal(t, "running", *shown.Status)
	assert.Equal(t, "deploying", f.getEnvironment("logs").Status)

	// A minute ago in its record is a minute later.
	got, err := f.client.Get(t.Context(), "ecs/environment/logs")
	require.NoError(t, err)
	since, err := json.Marshal(shown.BakeStartedAt)
	require.NoError(t, err)
	var record struct {
		Deployments map[string]struct{ BakeStartedAt string }
	}
	require.NoError(t, json.Unmarshal(got.Kvs[0].Value, &record))
	noted := record.Deployments[id].BakeStartedAt
	require.NotEmpty(t, noted, "%s", since)
	f.putRecord("ecs/environment/logs",
		strings.Replace(string(got.Kvs[0].Value), noted, time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano), 1))
	f.awaitState(id, "COMPLETED")
}

func TestRollout_ReportsPlanAndProgress(t *testing.T) {
	t.Parallel()
	const n, lack = 20, 4
	f := newRollout(t, n, `{"minimumHealthyPercent":80}`)
	lines := f.streamEnvironments("")
	e := f.patch("logs", `{"taskDefinition":"agent:2"}`)
	stops, starts, last := map[int64]int{}, 0, int64(0)
	for _, step := range f.dryRun(e) {
		assert.GreaterOrEqual(t, *step.Wave, last)
		last = *step.Wave
		switch *step.Action {
		case "stop":
			stops[*step.Wave]++
		case "start":
			starts++
		default:
			assert.Fail(t, "unexpected action", "%v", *step.Action)
		}
	}
	assert.Equal(t, n, starts)
	assert.Len(t, stops, n/lack)
	for wave, several := range stops {
		assert.Equal(t, lack, several, "wave %d", wave)
	}

	id := f.deploy(e)
	turn := fmt.Sprintf("outdated: Waiting for the rollout: at most %d instances may be without a running task.", lack)
	testenv.Eventually(t, func() bool {
		for _, status := range f.instanceStatuses("logs") {
			if status == turn {
				return true
			}
		}
		return false
	}, "no instance waits for the rollout")
	f.awaitState(id, "COMPLETED")
	f.assertLimits(n-lack, 0)

	states := map[string]bool{}
	testenv.Eventually(t, func() bool {
		for len(lines) > 0 {
			var line models.Environment
			require.NoError(t, json.Unmarshal([]byte(<-lines), &line))
			states[line.Status] = true
		}
		return states["deploying"] && states["active"]
	}, "the stream sends only the states %v", states)
}
