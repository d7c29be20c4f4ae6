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

// slow is an ECS whose tasks take a moment to run and to stop, so that a rollout has a middle.
var slow = ecssim.Config{PendingDelay: 20 * time.Millisecond, StopDelay: 20 * time.Millisecond}

// fleet is an environment "logs" that has been rolled out to some instances, with a second revision of its task definition.
type fleet struct {
	*ds
	css       string
	instances []string
	first     string // the deployment of agent:1, completed
}

func newFleet(t *testing.T, n int, configuration string) *fleet {
	t.Helper()
	w := newWorldOf(t, slow)
	f := &fleet{instances: w.sim.AddInstances("prod", n)}
	f.css, _ = w.css("127.0.0.1:0")
	f.ds = f.replica(w)
	require.NotEmpty(t, w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64)))
	var made models.Environment
	f.ok("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent:1","deploymentConfiguration":`+configuration+`}`, &made)
	f.ready()
	f.first = f.deploy(made)
	f.completed("logs", f.first)
	require.Len(t, w.live(f.first), n)
	w.sim.ResetCounters()
	return f
}

// replica runs one more daemon-scheduler.
func (f *fleet) replica(w *world) *ds {
	return w.ds(f.css, "--change-rate", "1000", "--read-rate", "1000", "--start-confirm-timeout", "1s")
}

// update deploys a changed environment.
func (f *fleet) update(patch string) (id string) {
	f.t.Helper()
	return f.deploy(f.patch("logs", patch))
}

// middle waits until some instances have a running task of the deployment.
func (f *fleet) middle(id string) {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool { return f.runningOf(id) > len(f.instances)/5 }, "the rollout does not go on")
	require.Less(f.t, f.runningOf(id), len(f.instances), "the rollout is over")
}

func (f *fleet) runningOf(id string) (running int) {
	for _, tasks := range f.live(id) {
		for _, task := range tasks {
			if task.LastStatus == "RUNNING" && task.DesiredStatus == "RUNNING" {
				running++
			}
		}
	}
	return running
}

// kept fails the test unless at least so many instances had a running agent all the time, and at most so many two.
func (f *fleet) kept(running, doubled int) {
	f.t.Helper()
	counted := f.sim.Counters()
	assert.GreaterOrEqual(f.t, counted.FewestRunning["agent"], running, "of %d", len(f.instances))
	assert.LessOrEqual(f.t, counted.MostDuplicated["agent"], doubled, "of %d", len(f.instances))
	f.neverTwo()
}

// ends waits until the deployment is in that state.
func (f *fleet) ends(id, state string) models.Deployment {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool { return f.deployment("logs", id).RolloutState == state }, "%s is not %s", id, state)
	return f.deployment("logs", id)
}

// newest is the id of the newest deployment.
func (f *fleet) newest() string { return f.deployments("logs")[0].ID.String() }

// of is the ARNs of the live tasks of a deployment, by instance.
func (f *fleet) of(id string) map[string]string {
	arns := map[string]string{}
	for instance, tasks := range f.live(id) {
		arns[instance] = tasks[0].ARN
	}
	return arns
}

func TestARolloutOf200InstancesKeepsToItsPercentages(t *testing.T) {
	t.Parallel()
	n := 200
	if testenv.Race {
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
			f := newFleet(t, n, tc.configuration)
			id := f.update(`{"taskDefinition":"agent:2"}`)
			f.ends(id, "COMPLETED")
			f.oneEach(id, f.instances...)
			f.kept(n-n*tc.lack/100, n*tc.doubled/100)
			counted := f.sim.Counters()
			if tc.atOnceByStarts {
				assert.GreaterOrEqual(t, counted.MostDuplicated["agent"], tc.leastAtOnce, "it is no slower than it may be")
			} else {
				assert.LessOrEqual(t, counted.FewestRunning["agent"], n-tc.leastAtOnce, "it is no slower than it may be")
			}
		})
	}
}

func TestABadTaskDefinition(t *testing.T) {
	t.Parallel()
	const n, lack = 20, 10
	faults := ecssim.Faults{
		FailToRun: map[string]float64{"never-runs": 1}, Exits: map[string]ecssim.Exit{"dies": {Fraction: 1, After: ecssim.Duration(10 * time.Millisecond), ExitCode: 1}},
	}
	bad := func(t *testing.T, family, breaker string) (f *fleet, id string, before map[string]string) {
		t.Helper()
		f = newFleet(t, n, `{"minimumHealthyPercent":50,"deploymentCircuitBreaker":`+breaker+`}`)
		f.sim.SetFaults(faults)
		memory := 64
		if family == "does-not-fit" {
			memory = 100_000
		}
		require.NotEmpty(t, f.sim.RegisterTaskDefinition(family, ecssim.WithMemory(memory)))
		before = f.of(f.first)
		return f, f.update(`{"taskDefinition":"` + family + `"}`), before
	}
	for family, reason := range map[string]string{
		"never-runs": "Task failed to start", "dies": "failures (threshold 5).", "does-not-fit": "RESOURCE:MEMORY on arn:",
	} {
		t.Run(family+", and goes back", func(t *testing.T) {
			t.Parallel()
			f, id, before := bad(t, family, `{"enable":true,"rollback":true,"threshold":5}`)
			failed := f.ends(id, "FAILED")
			assert.Contains(t, failed.RolloutStateReason, reason)
			assert.Equal(t, "completed", *failed.Status)
			assert.GreaterOrEqual(t, failed.FailedTasks, int64(5))
			assert.NotNil(t, failed.FinishedAt)
			back := f.newest()
			shown := f.ends(back, "COMPLETED")
			assert.Equal(t, id, shown.RollbackOf)
			assert.EqualValues(t, 1, shown.Revision)
			testenv.Eventually(t, func() bool { return f.runningOf(f.first)+f.runningOf(back) == n && len(f.live(id)) == 0 })
			kept := 0
			for instance, task := range f.of(f.first) {
				assert.Equal(t, before[instance], task, "it was started anew")
				kept++
			}
			assert.GreaterOrEqual(t, kept, n-lack)
			assert.Less(t, kept, n)
			f.kept(n-lack, 0)
			testenv.Eventually(t, func() bool { return *f.environment("logs").Health == "healthy" })
			assert.Equal(t, "active", f.environment("logs").Status)
		})
	}
	t.Run("without a circuit breaker it goes no further", func(t *testing.T) {
		t.Parallel()
		f, id, before := bad(t, "dies", `{}`)
		waiting := func() (turn int) {
			for _, told := range f.placed("logs") {
				if told == "outdated: Waiting for the rollout: at most 10 instances may be without a running task." {
					turn++
				}
			}
			return turn
		}
		testenv.Eventually(t, func() bool {
			return waiting() == n-lack && f.runningOf(f.first) == n-lack && f.deployment("logs", id).FailedTasks >= 2*lack
		}, "it does not come to rest")
		for instance, task := range f.of(f.first) {
			assert.Equal(t, before[instance], task)
		}
		assert.Equal(t, "IN_PROGRESS", f.deployment("logs", id).RolloutState)
		assert.Equal(t, "unhealthy", *f.environment("logs").Health)
		f.kept(n-lack, 0)
	})
	t.Run("beside the old tasks it takes none with it", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, n, `{"maximumPercent":200}`)
		f.sim.SetFaults(faults)
		require.NotEmpty(t, f.sim.RegisterTaskDefinition("dies"))
		before := f.of(f.first)
		id := f.update(`{"taskDefinition":"dies"}`)
		testenv.Eventually(t, func() bool { return f.deployment("logs", id).FailedTasks >= n })
		assert.Equal(t, before, f.of(f.first))
		f.kept(n, 0)
		assert.Equal(t, "IN_PROGRESS", f.deployment("logs", id).RolloutState)
	})
	t.Run("without rollback the environment is paused", func(t *testing.T) {
		t.Parallel()
		f, id, _ := bad(t, "never-runs", `{"enable":true,"threshold":5}`)
		f.ends(id, "FAILED")
		e := f.environment("logs")
		assert.Equal(t, "paused", e.Status)
		assert.Equal(t, id, e.PausedBy)
		assert.Equal(t, id, f.newest(), "nothing goes back")
		f.kept(n-lack, 0)

		good := f.update(`{"taskDefinition":"agent:2"}`) // which ends the pause
		f.ends(good, "COMPLETED")
		f.oneEach(good, f.instances...)
		f.kept(n-lack, 0)
	})
	t.Run("as the first that there is", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.sim.AddInstances("prod", 4)
		w.sim.SetFaults(faults)
		require.NotEmpty(t, w.sim.RegisterTaskDefinition("never-runs"))
		d := w.blox()
		var e models.Environment
		d.ok("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"never-runs",
			"deploymentConfiguration":{"deploymentCircuitBreaker":{"enable":true,"rollback":true}}}`, &e)
		f := &fleet{ds: d}
		f.ends(d.deploy(e), "FAILED")
		assert.Equal(t, "paused", d.environment("logs").Status, "there is nothing to go back to")
	})
}

func TestACanaryGoesFirst(t *testing.T) {
	t.Parallel()
	const n = 10
	for name, tc := range map[string]struct {
		canary string
		picked func(f *fleet) []string
	}{
		"in percent": {`{"percent":20}`, func(f *fleet) (picked []string) {
			for instance := range f.live(f.newest()) {
				picked = append(picked, instance)
			}
			return picked
		}},
		"by a query": {`{"query":"attribute:stage == canary"}`, func(f *fleet) []string { return f.instances[3:5] }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, n, `{}`)
			for _, i := range f.instances[3:5] {
				f.attribute(i, "stage", "canary")
				require.NoError(t, f.sim.SetAgentConnected(i, false)) // tells the copy of the attribute
				require.NoError(t, f.sim.SetAgentConnected(i, true))
			}
			before := f.of(f.first)
			id := f.update(`{"taskDefinition":"agent:2","deploymentConfiguration":{"minimumHealthyPercent":50,"canary":` + tc.canary + `}}`)
			testenv.Eventually(t, func() bool { return f.runningOf(id) == 2 && f.runningOf(f.first) == n-2 }, "the canary does not run")
			picked := tc.picked(f)
			f.oneEach(id, picked...)
			waits := 0
			testenv.Eventually(t, func() bool {
				waits = 0
				for _, told := range f.placed("logs") {
					if told == "outdated: The deployment is waiting for promotion." {
						waits++
					}
				}
				return waits == n-2
			}, "the others do not wait")

			// Both deployments have a start in one plan.
			f.ok("POST", "/v1/environments/logs/pause", "", nil)
			joined := f.sim.AddInstances("prod", 1)[0]
			f.instances = append(f.instances, joined)
			require.NoError(t, f.sim.KillTask(f.of(id)[picked[0]], 1))
			testenv.Eventually(t, func() bool {
				placed := f.placed("logs")
				return strings.HasPrefix(placed[joined], "missing") && strings.HasPrefix(placed[picked[0]], "missing")
			})
			f.ok("POST", "/v1/environments/logs/resume", "", nil)
			f.oneEach(id, picked...)
			testenv.Eventually(t, func() bool { return f.runningOf(f.first) == n-1 }, "who joins gets what was completed before")
			for _, task := range f.live(f.first)[joined] {
				assert.Equal(t, f.agent, task.TaskDefinitionARN)
			}
			for _, task := range f.live(id)[picked[0]] {
				assert.NotEqual(t, f.agent, task.TaskDefinitionARN)
			}
			assert.Equal(t, "IN_PROGRESS", f.deployment("logs", id).RolloutState)
			for instance, task := range f.of(f.first) {
				if instance != joined {
					assert.Equal(t, before[instance], task)
				}
			}
			for range 2 { // it is idempotent
				var promoted models.Deployment
				f.ok("POST", "/v1/environments/logs/deployments/"+id+"/promote", "", &promoted)
				assert.True(t, promoted.Promoted)
			}
			f.ends(id, "COMPLETED")
			f.oneEach(id, f.instances...)
			f.kept(n-n/2, 0)
		})
	}
}

// What users do in the middle of a rollout.
func TestInTheMiddleOfARollout(t *testing.T) {
	t.Parallel()
	const n, lack = 20, 6
	begin := func(t *testing.T) (f *fleet, id, path string) {
		t.Helper()
		f = newFleet(t, n, `{"minimumHealthyPercent":70}`)
		id = f.update(`{"taskDefinition":"agent:2"}`)
		f.middle(id)
		return f, id, "/v1/environments/logs"
	}
	t.Run("stop and go back", func(t *testing.T) {
		t.Parallel()
		f, id, path := begin(t)
		f.ok("POST", path+"/deployments/"+id+"/stop?type=ROLLBACK", "", nil)
		assert.Equal(t, "STOPPED", f.deployment("logs", id).RolloutState)
		back := f.newest()
		assert.Equal(t, id, f.ends(back, "COMPLETED").RollbackOf)
		testenv.Eventually(t, func() bool { return f.runningOf(f.first)+f.runningOf(back) == n && len(f.live(id)) == 0 })
		assert.Positive(t, f.runningOf(f.first), "some were never touched")
		testenv.Eventually(t, func() bool { // it counts those as its own
			shown, first := f.deployment("logs", back).RunningCount, f.deployment("logs", f.first).RunningCount
			return shown != nil && *shown == n && first != nil && *first == 0
		})
		f.kept(n-lack, 0)
	})
	t.Run("abort, and resume", func(t *testing.T) {
		t.Parallel()
		f, id, path := begin(t)
		f.ok("POST", path+"/deployments/"+id+"/stop?type=ABORT", "", nil)
		assert.Equal(t, "paused", f.environment("logs").Status)
		f.rests()
		assert.Positive(t, f.runningOf(id))
		assert.Positive(t, f.runningOf(f.first))
		assert.Equal(t, id, f.newest())
		f.ok("POST", path+"/resume", "", nil) // keeps up what was completed
		f.oneEach(f.first, f.instances...)
		f.kept(n-lack, 0)
	})
	t.Run("pause and resume", func(t *testing.T) {
		t.Parallel()
		f, id, path := begin(t)
		f.ok("POST", path+"/pause", "", nil)
		f.rests()
		assert.Equal(t, "IN_PROGRESS", f.deployment("logs", id).RolloutState)
		f.ok("POST", path+"/resume", "", nil)
		f.ends(id, "COMPLETED")
		f.oneEach(id, f.instances...)
		f.kept(n-lack, 0)
	})
	t.Run("another update", func(t *testing.T) {
		t.Parallel()
		f, id, _ := begin(t)
		next := f.update(`{"taskDefinition":"agent:1","drainOrder":1}`)
		assert.Equal(t, "STOPPED", f.deployment("logs", id).RolloutState)
		f.ends(next, "COMPLETED")
		f.oneEach(next, f.instances...)
		f.kept(n-lack, 0)
	})
	t.Run("from the new tasks first to the old ones", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, n, `{"minimumHealthyPercent":70,"maximumPercent":200}`)
		id := f.update(`{"taskDefinition":"agent:2"}`)
		testenv.Eventually(t, func() bool { return len(f.live(id)) > n/3 })
		next := f.update(`{"deploymentConfiguration":{"maximumPercent":null}}`)
		f.ends(next, "COMPLETED")
		f.oneEach(next, f.instances...)
		f.kept(n-lack, n)
	})
	t.Run("the leader goes", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, n, `{"minimumHealthyPercent":70}`)
		second := f.replica(f.world)
		id := f.update(`{"taskDefinition":"agent:2"}`)
		f.middle(id)
		f.stop()
		f.ds = second
		f.ends(id, "COMPLETED")
		f.oneEach(id, f.instances...)
		f.kept(n-lack, 0)
	})
}

// rests waits until nothing is on its way any more. What was called before the pause may still come.
func (f *fleet) rests() {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool {
		for _, task := range f.sim.Tasks("prod") {
			if task.Live() && (task.LastStatus != "RUNNING" || task.DesiredStatus != "RUNNING") {
				return false
			}
		}
		return !f.openLaunches("logs")
	}, "it does not come to rest")
}

func TestADeploymentBakesBeforeItIsCompleted(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, `{"minimumHealthyPercent":0}`)
	id := f.update(`{"taskDefinition":"agent:2","deploymentConfiguration":{"bakeTimeInMinutes":1}}`)
	f.oneEach(id, f.instances...)
	testenv.Eventually(t, func() bool { return f.deployment("logs", id).BakeStartedAt != nil }, "it does not bake")
	shown := f.deployment("logs", id)
	assert.Equal(t, "IN_PROGRESS", shown.RolloutState)
	assert.Equal(t, "running", *shown.Status)
	assert.Equal(t, "deploying", f.environment("logs").Status)

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
	f.put("ecs/environment/logs", strings.Replace(string(got.Kvs[0].Value), noted, time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano), 1))
	f.ends(id, "COMPLETED")
}

func TestARolloutTellsWhatItWillDoAndWhereItIs(t *testing.T) {
	t.Parallel()
	const n, lack = 20, 4
	f := newFleet(t, n, `{"minimumHealthyPercent":80}`)
	lines := f.lines("")
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
			assert.Fail(t, "not foreseen", "%v", *step.Action)
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
		for _, told := range f.placed("logs") {
			if told == turn {
				return true
			}
		}
		return false
	}, "nobody is told to wait")
	f.ends(id, "COMPLETED")
	f.kept(n-lack, 0)

	states := map[string]bool{}
	testenv.Eventually(t, func() bool {
		for len(lines) > 0 {
			var line models.Environment
			require.NoError(t, json.Unmarshal([]byte(<-lines), &line))
			states[line.Status] = true
		}
		return states["deploying"] && states["active"]
	}, "the stream does not tell: %v", states)
}
