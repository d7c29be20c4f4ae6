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

// slowTasks makes tasks start and stop slowly, so that tests observe a rollout in progress and several instances
// change at once, also on a busy machine.
var slowTasks = ecssim.Config{PendingDelay: 200 * time.Millisecond, StopDelay: 200 * time.Millisecond}

// rollout is an environment "logs" with a completed deployment on some instances, and a second revision of its task
// definition.
type rollout struct {
	*scheduler
	css       string
	instances []string
	first     string // ID of the completed deployment of agent:1
}

func newRollout(t *testing.T, n int, configuration string) *rollout {
	t.Helper()
	w := newSystemWith(t, slowTasks)
	f := &rollout{instances: w.sim.AddInstances("prod", n)}
	f.css, _ = w.startCSS("127.0.0.1:0")
	f.scheduler = f.startReplica(w)
	require.NotEmpty(t, w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64)))
	var created models.Environment
	f.mustSend("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},`+
		`"taskDefinition":"agent:1","deploymentConfiguration":`+configuration+`}`, &created)
	f.awaitReady()
	f.first = f.deploy(created)
	f.awaitCompleted("logs", f.first)
	require.Len(t, w.liveTasks(f.first), n)
	w.sim.ResetCounters()
	return f
}

// startReplica starts another daemon-scheduler.
func (f *rollout) startReplica(w *system) *scheduler {
	return w.startScheduler(f.css, "--change-rate", "1000", "--read-rate", "1000", "--start-confirm-timeout", "1s",
		"--alarm-interval", "50ms", "--alarm-rate", "1000")
}

// deployPatch updates the environment, deploys it and returns the deployment's ID.
func (f *rollout) deployPatch(patch string) (id string) {
	f.t.Helper()
	return f.deploy(f.patch("logs", patch))
}

// awaitMiddle waits until more than a fifth of the instances have a running task of the deployment.
func (f *rollout) awaitMiddle(id string) {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool { return f.runningTasks(id) > len(f.instances)/5 }, "the rollout does not start")
	require.Less(f.t, f.runningTasks(id), len(f.instances), "the rollout has already completed")
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

// assertLimits checks that at least minRunning instances had a running agent at every moment, and that at most maxSurge
// had two.
func (f *rollout) assertLimits(minRunning, maxSurge int) {
	f.t.Helper()
	counters := f.sim.Counters()
	assert.GreaterOrEqual(f.t, counters.FewestRunning["agent"], minRunning, "of %d", len(f.instances))
	assert.LessOrEqual(f.t, counters.MostDuplicated["agent"], maxSurge, "of %d", len(f.instances))
	f.assertNoDuplicates()
}

// awaitState waits until the deployment is in the state and returns the deployment.
func (f *rollout) awaitState(id, state string) models.Deployment {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool {
		return f.getDeployment("logs", id).RolloutState == state
	}, "%s is not %s", id, state)
	return f.getDeployment("logs", id)
}

// newestDeployment returns the ID of the newest deployment.
func (f *rollout) newestDeployment() string { return *f.listDeployments("logs")[0].ID }

// taskByInstance returns the ARN of the deployment's live task on each instance.
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
		configuration            string
		maxUnavailable, maxSurge int // in percent
		// minUsed is how many instances of its budget the rollout uses at the same time. Those whose task runs and is not
		// ready yet use it, too, without being counted here.
		minUsed     int
		startsFirst bool
	}{
		"defaults":                 {`{}`, 10, 0, n / 20, false},
		"half at a time":           {`{"minimumHealthyPercent":50}`, 50, 0, n / 8, false},
		"start before stop":        {`{"minimumHealthyPercent":100,"maximumPercent":150}`, 0, 50, n / 4, true},
		"all starts before a stop": {`{"maximumPercent":200}`, 0, 100, n / 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRollout(t, n, tc.configuration)
			id := f.deployPatch(`{"taskDefinition":"agent:2"}`)
			f.awaitState(id, "COMPLETED")
			f.awaitOneTaskEach(id, f.instances...)
			f.assertLimits(n-n*tc.maxUnavailable/100, n*tc.maxSurge/100)
			counters := f.sim.Counters()
			if tc.startsFirst {
				assert.GreaterOrEqual(t, counters.MostDuplicated["agent"], tc.minUsed, "the rollout uses its budget")
			} else {
				assert.LessOrEqual(t, counters.FewestRunning["agent"], n-tc.minUsed, "the rollout uses its budget")
			}
		})
	}
}

func TestRollout_BakesBeforeCompletion(t *testing.T) {
	t.Parallel()
	f := newRollout(t, 3, `{"minimumHealthyPercent":0}`)
	id := f.deployPatch(`{"taskDefinition":"agent:2","deploymentConfiguration":{"bakeTimeInMinutes":1}}`)
	f.awaitOneTaskEach(id, f.instances...)
	testenv.Eventually(t, func() bool { return f.getDeployment("logs", id).BakeStartedAt != nil }, "no bake time")
	shown := f.getDeployment("logs", id)
	assert.Equal(t, "IN_PROGRESS", shown.RolloutState)
	assert.Equal(t, "running", *shown.Status)
	assert.Equal(t, "deploying", f.getEnvironment("logs").Status)

	// A former leader has seen it bake for a minute, by a clock that was an hour ahead.
	got, err := f.client.Get(t.Context(), "ecs/environment/logs")
	require.NoError(t, err)
	var record struct {
		Deployments map[string]struct{ BakeStartedAt string }
	}
	require.NoError(t, json.Unmarshal(got.Kvs[0].Value, &record))
	recorded := `"BakeStartedAt":"` + record.Deployments[id].BakeStartedAt + `"`
	require.Contains(t, string(got.Kvs[0].Value), recorded)
	ahead := time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)
	f.putRecord("ecs/environment/logs", strings.Replace(string(got.Kvs[0].Value), recorded,
		`"BakeStartedAt":"`+ahead+`","BakedSeconds":60`, 1))
	f.awaitState(id, "COMPLETED")
}

func TestRollout_ReportsPlanAndProgress(t *testing.T) {
	t.Parallel()
	const n, maxUnavailable = 20, 4
	f := newRollout(t, n, `{"minimumHealthyPercent":80}`)
	lines := f.streamEnvironments("")
	e := f.patch("logs", `{"taskDefinition":"agent:2"}`)
	stops, starts, last := map[int64]int{}, 0, int64(0)
	for _, step := range f.dryRun(e) {
		assert.GreaterOrEqual(t, *step.Batch, last)
		last = *step.Batch
		switch *step.Action {
		case "stop":
			stops[*step.Batch]++
		case "start":
			starts++
		default:
			assert.Fail(t, "unexpected action", "%v", *step.Action)
		}
	}
	assert.Equal(t, n, starts)
	assert.Len(t, stops, n/maxUnavailable)
	for batch, count := range stops {
		assert.Equal(t, maxUnavailable, count, "batch %d", batch)
	}

	id := f.deploy(e)
	waiting := fmt.Sprintf("outdated: Waiting for the rollout: at most %d instances may be without a running task.",
		maxUnavailable)
	testenv.Eventually(t, func() bool {
		for _, status := range f.instanceStatuses("logs") {
			if status == waiting {
				return true
			}
		}
		return false
	}, "no instance waits for the rollout")
	f.awaitState(id, "COMPLETED")
	f.assertLimits(n-maxUnavailable, 0)

	states := map[string]bool{}
	testenv.Eventually(t, func() bool {
		for len(lines) > 0 {
			var line models.Environment
			require.NoError(t, json.Unmarshal([]byte(<-lines), &line))
			states[line.Status] = true
		}
		return states["deploying"] && states["active"]
	}, "the stream has sent only the states %v", states)
}
