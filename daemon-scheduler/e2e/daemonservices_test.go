package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// startDaemonService creates a DAEMON service on prod and waits until each of the instances has its task.
func (w *system) startDaemonService(name, definition string, instances ...string) {
	w.t.Helper()
	require.NotEmpty(w.t, w.sim.CreateDaemonService("prod", name, definition))
	testenv.Eventually(w.t, func() bool { return len(w.serviceTasks(name)) == len(instances) })
}

// serviceTasks returns the service's running tasks, by instance.
func (w *system) serviceTasks(service string) map[string]ecssim.Task {
	on := map[string]ecssim.Task{}
	for _, task := range w.sim.Tasks("prod") {
		if task.Group == "service:"+service && task.LastStatus == "RUNNING" && task.DesiredStatus == "RUNNING" {
			on[task.InstanceARN] = task
		}
	}
	return on
}

// ECS stops the tasks of a DAEMON service on a draining instance after all others, and so does Blox. If each waited for
// the other, the drain would never end.
func TestDrain_DoesNotWaitForDaemonServices(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	w.sim.RegisterTaskDefinition("exporter", ecssim.WithCPU(64), ecssim.WithMemory(64))
	w.startDaemonService("exporter", "exporter", instances...)
	d := w.startServices()
	d.awaitReady()
	id := d.deploy(d.createEnvironment("logs"))
	w.awaitOneTaskEach(id, instances...)
	assert.Zero(t, w.sim.Calls("DescribeServices"), "services matter only to drains and scale-in")

	for _, instance := range instances {
		require.NoError(t, w.sim.DrainInstance(instance))
		testenv.Eventually(t, func() bool { return len(w.liveTasksOn(instance)) == 0 }, "tasks remain on the instance")
	}
	assert.Equal(t, 1, w.sim.Calls("DescribeServices"), "one call reads the strategy of a service")
	w.assertNoDuplicates()
}

// Without permission for DescribeServices, a drain waits as if the service's tasks were workload, and says so.
func TestDrain_WaitsWhileServicesAreUnknown(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 1)
	w.sim.RegisterTaskDefinition("exporter", ecssim.WithCPU(64), ecssim.WithMemory(64))
	w.startDaemonService("exporter", "exporter", instances...)
	d := w.startServices()
	d.awaitReady()
	w.awaitOneTaskEach(d.deploy(d.createEnvironment("logs")), instances...)

	w.refuse("DescribeServices", "AccessDeniedException")
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	testenv.Eventually(t, func() bool { return condition(d, "ServicesUnknown") != nil })
	assert.Equal(t, "AccessDeniedException", *condition(d, "ServicesUnknown").Reason)
	assert.Len(t, w.liveTasksOn(instances[0]), 2, "nothing is stopped for a guess")
	assert.Contains(t, d.instanceStatuses("logs")[instances[0]], "other tasks still run on it")

	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return len(w.liveTasksOn(instances[0])) == 0 }, "tasks remain on the instance")
	testenv.Eventually(t, func() bool { return condition(d, "ServicesUnknown") == nil })
}
