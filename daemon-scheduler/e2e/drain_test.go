package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// On a draining instance, the daemons run as long as the workload task does, then stop in drain order.
func TestDrain_StopsDaemonsLast(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	last := d.deploy(d.createWithReadiness("last", "agent", `,"drainOrder":2`))
	first := d.deploy(d.createWithReadiness("first", "agent", `,"drainOrder":1`))
	for _, id := range []string{last, first} {
		w.awaitOneTaskEach(id, instances...)
	}
	w.awaitReadyInstances(instances...)
	workload := w.startTask(instances[0], "another-scheduler")
	testenv.Eventually(t, func() bool { return d.isTaskRunning(workload) }) // events of tasks and instances have no order
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	testenv.Eventually(t, func() bool {
		return strings.Contains(d.instanceStatuses("first")[instances[0]], "other tasks still run on it") &&
			strings.Contains(d.instanceStatuses("last")[instances[0]], "other tasks still run on it")
	})
	assert.Len(t, w.liveTasksOn(instances[0]), 3)
	w.awaitReadyInstances(instances...)

	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StopTask": 1}})
	require.NoError(t, w.sim.KillTask(workload, 0))
	testenv.Eventually(t, func() bool {
		return strings.Contains(d.instanceStatuses("last")[instances[0]], "daemons with a lower drain order")
	})
	assert.Len(t, w.liveTasksOn(instances[0]), 2)
	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return len(w.liveTasksOn(instances[0])) == 0 }, "tasks remain on the instance")
	stopped := map[string]time.Time{}
	for _, task := range w.describeTasks(instances[0]) {
		stopped[aws.ToString(task.StartedBy)] = aws.ToTime(task.StoppedAt)
		if by := aws.ToString(task.StartedBy); by != "another-scheduler" {
			assert.Equal(t, "blox: the instance is draining, environment "+map[string]string{first: "first", last: "last"}[by],
				aws.ToString(task.StoppedReason))
		}
	}
	assert.False(t, stopped[first].Before(stopped["another-scheduler"]), "a daemon stopped before the workload task")
	assert.False(t, stopped[last].Before(stopped[first]), "the daemons stopped in the wrong order")
	w.awaitReadyInstances(instances[1])
	w.awaitReadinessRecords(instances[1])

	require.NoError(t, w.sim.ActivateInstance(instances[0]))
	w.awaitReadyInstances(instances...)
	w.assertNoDuplicates()
}

// A workload task that started just before the drain may not be in the cluster state yet. Its daemon outlives it.
func TestDrain_WaitsForTasksThatTheClusterStateLacks(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	id, _ := d.deployAgent(instances...)
	w.sim.SetFaults(ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}})
	workload := w.startTask(instances[0], "another-scheduler")
	w.sim.SetFaults(ecssim.Faults{})
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	for range 2 {
		d.passThrough(id)
	}
	assert.Zero(t, w.sim.Calls("StopTask"))
	assert.Len(t, w.liveTasksOn(instances[0]), 2)

	require.NoError(t, w.sim.KillTask(workload, 0))
	testenv.Eventually(t, func() bool { return len(w.liveTasksOn(instances[0])) == 0 }, "tasks remain on the instance")
	w.assertNoDuplicates()
}

// describeTasks returns all tasks of the instance, stopped ones included.
func (w *system) describeTasks(instance string) []types.Task {
	w.t.Helper()
	var arns []string
	for _, task := range w.sim.Tasks("prod") {
		if task.InstanceARN == instance {
			arns = append(arns, task.ARN)
		}
	}
	out, err := w.ecs().DescribeTasks(w.t.Context(), &ecs.DescribeTasksInput{Cluster: conv.Pointer("prod"), Tasks: arns})
	require.NoError(w.t, err)
	return out.Tasks
}
