package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
)

// Planning for 5,000 instances takes milliseconds, so it must not be repeated for each client.
func TestReads_ComputeAnEnvironmentOnceForAllClients(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 3)
	d := w.startServices()
	id := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", id)
	var overviews []*streamClient
	var records []<-chan string
	for range 4 {
		overviews = append(overviews, d.openStream("/v1/stream/overview"))
		instances := d.openStream("/v1/stream/environments/logs/instances")
		instances.await(t, func() bool { return len(instances.instances) == 3 })
		records = append(records, d.streamEnvironments(""))
	}
	computed := func() float64 { return d.metric("blox_ds_status_computations_total") }
	get := func() {
		for _, path := range []string{"", "/logs", "/logs/instances", "/logs/deployments", "/logs/deployments/" + id} {
			for range 4 {
				d.mustSend("GET", "/v1/environments"+path, "", nil)
			}
		}
	}
	paused := false
	// The last events of a rollout may arrive during an attempt.
	testenv.Eventually(t, func() bool {
		get()
		before, start := computed(), time.Now()
		paused = !paused
		d.mustSend("POST", "/v1/environments/logs/"+map[bool]string{true: "pause", false: "resume"}[paused], "", nil)
		status := map[bool]string{true: "paused", false: "active"}[paused]
		for _, overview := range overviews {
			overview.await(t, func() bool {
				line := overview.environments["logs"]
				return line != nil && line.Environment.Status == status
			})
		}
		for _, lines := range records {
			for !strings.Contains(<-lines, `"status":"`+status+`"`) {
				continue
			}
		}
		get()
		aged := float64(time.Since(start) / time.Minute) // a summary of that age is computed again
		return computed()-before <= 1+aged
	}, "more than one computation for a change")
	assert.Equal(t, 3, int(*d.getEnvironment("logs").RunningCount))
}
