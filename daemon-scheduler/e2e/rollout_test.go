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
