package e2e

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// An environment belongs to its cluster's name. A cluster that was deleted and created again has other instances, and
// the events of the old ones may arrive after those of the new ones.
func TestRecreatedCluster_GetsTheTasksOfItsEnvironment(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	old := w.sim.AddInstances("prod", 3)
	d := w.startServices()
	d.awaitReady()
	id, _ := d.deployAgent(old...)
	w.sim.SetFaults(ecssim.Faults{Events: ecssim.EventFaults{Delay: 1, DelayBy: ecssim.Duration(3 * time.Second)}})
	for _, instance := range old {
		require.NoError(t, w.sim.RemoveInstance(instance))
	}
	_, err := w.ecs().DeleteCluster(t.Context(), &ecs.DeleteClusterInput{Cluster: aws.String("prod")})
	require.NoError(t, err)
	w.sim.SetFaults(ecssim.Faults{})
	w.sim.CreateCluster("prod")
	instances := w.sim.AddInstances("prod", 2)
	w.awaitOneTaskEach(id, instances...)
	testenv.Eventually(t, func() bool {
		shown := d.getDeployment("logs", id)
		return *shown.DesiredCount == 2 && *shown.RunningCount == 2 && shown.FailedTasks == 0
	}, "the old instances and tasks are gone")
	assert.Equal(t, "healthy", string(*d.getEnvironment("logs").Health))
	assert.Empty(t, d.getEnvironment("logs").Conditions)
	w.assertNoDuplicates()
}
