package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// awaitDeleted waits until the environment "logs" is removed.
func (d *scheduler) awaitDeleted() {
	d.t.Helper()
	testenv.Eventually(d.t, func() bool {
		answer, _ := d.send("GET", "/v1/environments/logs", "")
		return answer.StatusCode == 404
	}, "the environment is still there")
}

// ECS rejects every call for a cluster that was deleted, while the cluster state still shows its tasks.
func TestDeletion_EndsWithoutTheCluster(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	id, _ := d.deployAgent(instances...)
	w.sim.SetFaults(ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}})
	for _, instance := range instances {
		require.NoError(t, w.sim.RemoveInstance(instance))
	}
	_, err := w.ecs().DeleteCluster(t.Context(), &ecs.DeleteClusterInput{Cluster: aws.String("prod")})
	require.NoError(t, err)
	assert.EqualValues(t, 2, *d.getDeployment("logs", id).RunningCount, "the cluster state shows the tasks")
	d.mustSend("DELETE", "/v1/environments/logs?stopTasks=true", "", nil)
	d.awaitDeleted()
	testenv.Eventually(t, func() bool { return len(w.launchKeys()) == 0 }, "launch records are left")
}

// ECS knows neither the task nor its instance, which vanished without an event.
func TestDeletion_EndsAfterAnInstanceVanished(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 1)
	d := w.startServices()
	d.awaitReady()
	id, _ := d.deployAgent(instances...)
	instance := "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/0123456789abcdef0123456789abcdef"
	vanished := newPhantom(instance, id)
	w.putRecord("ecs/task/prod/"+vanished.arn(), vanished.runningEvent())
	testenv.Eventually(t, func() bool { return *d.getDeployment("logs", id).RunningCount == 2 })
	d.mustSend("DELETE", "/v1/environments/logs?stopTasks=true", "", nil)
	d.awaitDeleted()
	assert.Empty(t, w.liveTasks(id))
}

// A deletion that cannot end, because ECS stops no task, is given up by a DELETE that leaves the tasks running.
func TestDeletion_IsFreedByAPlainDelete(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	id, tasks := d.deployAgent(instances...)
	w.refuse("StopTask", "AccessDeniedException")
	d.mustSend("DELETE", "/v1/environments/logs?stopTasks=true", "", nil)
	testenv.Eventually(t, func() bool { return condition(d, "TaskStopFailed") != nil })
	assert.Equal(t, "deleting", d.getEnvironment("logs").Status)
	d.mustSend("DELETE", "/v1/environments/logs", "", nil)
	d.mustReject(404, "Environment logs does not exist", "GET", "/v1/environments/logs", "")
	w.sim.SetFaults(ecssim.Faults{})
	other := d.deploy(d.createEnvironment("logs"))
	w.awaitOneTaskEach(other, instances...)
	for instance, task := range tasks {
		assert.Equal(t, task, w.liveTasks(id)[instance][0].ARN, "the tasks keep running")
	}
}
