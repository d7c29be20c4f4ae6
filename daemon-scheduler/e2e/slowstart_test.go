package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// newFirstDeployment starts the first deployment of an environment with that configuration on n instances.
func newFirstDeployment(t *testing.T, n int, family, configuration string) (f *rollout, id string) {
	t.Helper()
	w := newSystemWith(t, slowTasks)
	f = &rollout{instances: w.sim.AddInstances("prod", n)}
	w.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"never-runs": 1}})
	require.NotEmpty(t, w.sim.RegisterTaskDefinition("never-runs"))
	f.css, _ = w.startCSS("127.0.0.1:0")
	f.scheduler = f.startReplica(w)
	var created models.Environment
	f.mustSend("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"`+family+
		`","deploymentConfiguration":`+configuration+`}`, &created)
	f.awaitReady()
	batches := map[int64]int{}
	for _, step := range f.dryRun(created) {
		assert.Equal(t, "start", *step.Action)
		batches[*step.Batch]++
	}
	if configuration == `{"slowStart":false}` {
		assert.Equal(t, map[int64]int{1: n}, batches)
	} else {
		assert.Equal(t, []int{1, 2, 4, 8}, []int{batches[1], batches[2], batches[3], batches[4]})
	}
	return f, f.deploy(created)
}

// mostStarting returns how many tasks of the deployment were not RUNNING when each of them was created, at most, beyond
// those that were RUNNING by then.
func (f *rollout) mostStarting() (most int) {
	tasks := f.sim.Tasks("prod")
	for _, each := range tasks {
		starting := 0
		for _, other := range tasks {
			switch running := other.StartedAt; {
			case other.CreatedAt.After(each.CreatedAt):
			case !running.IsZero() && running.Before(each.CreatedAt):
				starting--
			default:
				starting++
			}
		}
		most = max(most, starting)
	}
	return most
}

func TestSlowStart_StartsTheNextBatchWhenTheTasksRun(t *testing.T) {
	t.Parallel()
	const n = 20
	f, id := newFirstDeployment(t, n, "agent", `{}`)
	f.awaitState(id, "COMPLETED")
	f.awaitOneTaskEach(id, f.instances...)
	assert.Equal(t, 1, f.mostStarting(), "at most one more task starts than runs")
	assert.True(t, *f.getEnvironment("logs").DeploymentConfiguration.SlowStart)

	f.instances = append(f.instances, f.sim.AddInstances("prod", 10)...)
	f.awaitOneTaskEach(id, f.instances...)
}

func TestSlowStart_CanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	f, id := newFirstDeployment(t, 20, "agent", `{"slowStart":false}`)
	f.awaitState(id, "COMPLETED")
	assert.Greater(t, f.mostStarting(), 1)
}

func TestSlowStart_BadDefinitionReachesFewInstances(t *testing.T) {
	t.Parallel()
	f, id := newFirstDeployment(t, 60, "never-runs",
		`{"deploymentCircuitBreaker":{"enable":true,"thresholdConfiguration":{"type":"BOUNDED_PERCENT","value":20}}}`)
	assert.Contains(t, f.awaitState(id, "FAILED").RolloutStateReason, "Circuit breaker tripped: ")
	var reached []string
	for _, task := range f.sim.Tasks("prod") {
		reached = append(reached, task.InstanceARN)
	}
	slices.Sort(reached)
	assert.LessOrEqual(t, len(slices.Compact(reached)), 20, "of %d instances", len(f.instances))
}

// withoutSlowStart returns the fields of an environment, each after a comma, with the slow start switched off.
func withoutSlowStart(fields string) string {
	const off = `"deploymentConfiguration":{"slowStart":false`
	if before, after, configured := strings.Cut(fields, `"deploymentConfiguration":{`); configured {
		return before + off + "," + after
	}
	return fields + "," + off + "}"
}
