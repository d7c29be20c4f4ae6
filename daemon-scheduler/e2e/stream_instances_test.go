package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// The counts belong to the instances before them, so that a client never shows two numbers for one thing.
func TestStream_SendsCountsWithTheInstances(t *testing.T) {
	t.Parallel()
	d, instances, _ := startDeployed(t, 6)
	f := d.openStream("/v1/stream/environments/logs/instances")
	f.await(t, func() bool {
		return f.counts != nil && *f.counts.DesiredCount == 6 && *f.counts.RunningCount == 6 && len(f.states) > 0
	})
	_, received, states := f.received()
	assert.Len(t, received, 6)
	assert.EqualValues(t, 6, *states[0].Count, "counts are no instance")

	d.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	d.deploy(d.patch("logs", `{"taskDefinition":"agent","deploymentConfiguration":{"canary":{"percent":50}}}`))
	f.await(t, func() bool {
		outdated := 0
		for _, i := range f.instances {
			if *i.State == "outdated" {
				outdated++
			}
		}
		return outdated == 3 && *f.counts.UpdatedCount == 3 && *f.counts.OutdatedCount == 3
	})
	assert.NoError(t, d.sim.SetAgentConnected(instances[0], false))
	f.await(t, func() bool { return *f.counts.UnreachableCount == 1 })
}

func TestStream_GroupsInstances(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 6) // the simulator spreads them over three zones
	w.setAttribute(instances[0], "stack", "prod")
	d := w.startServices()
	d.awaitReady()
	d.awaitCompleted("logs", d.deploy(d.createEnvironment("logs")))
	plain := d.openStream("/v1/stream/environments/logs/instances")
	zones := d.openStream("/v1/stream/environments/logs/instances?groupBy=attribute:ecs.availability-zone")
	stacks := d.openStream("/v1/stream/environments/logs/instances?groupBy=attribute:stack")
	groups := func(f *streamClient) map[string]int {
		n := map[string]int{}
		for _, i := range f.instances {
			n[i.Group]++
		}
		return n
	}
	zones.await(t, func() bool {
		return assert.ObjectsAreEqual(map[string]int{"us-east-1a": 2, "us-east-1b": 2, "us-east-1c": 2}, groups(zones))
	})
	plain.await(t, func() bool { return assert.ObjectsAreEqual(map[string]int{"": 6}, groups(plain)) })
	stacks.await(t, func() bool { return assert.ObjectsAreEqual(map[string]int{"prod": 1, "": 5}, groups(stacks)) })
	assert.NoError(t, w.sim.DrainInstance(instances[1]))
	zones.await(t, func() bool { return *zones.instances[instances[1]].Status == "DRAINING" })
	_, grouped, _ := zones.received()
	assert.Equal(t, "us-east-1b", grouped[instances[1]].Group, "changed lines have the group as well")

	var list models.EnvironmentInstances
	d.mustSend("GET", "/v1/environments/logs/instances?groupBy=attribute:stack", "", &list)
	for _, i := range list.Items {
		assert.Equal(t, *i.ContainerInstance == instances[0], i.Group == "prod")
	}
}
