package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// Services of several regions and accounts share one etcd. Each reconciles its own, and all serve the records of all.
func TestRegions_ShareOneEtcd(t *testing.T) {
	for name, cfg := range map[string]ecssim.Config{
		"two regions of an account":  {Region: "eu-west-1"},
		"two accounts of one region": {Account: "999999999999"},
	} {
		t.Run(name, func(t *testing.T) {
			dropped := ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}}
			w := newSystem(t, ecssim.Config{Faults: dropped})
			cfg.Faults = dropped
			other := w.beside(cfg)
			w.startTasks(w.sim.RegisterTaskDefinition("agent"), w.sim.AddInstances("default", 2)...)
			other.startTasks(other.sim.RegisterTaskDefinition("agent"), other.sim.AddInstances("default", 3)...)

			first := w.start().ready()
			assert.Equal(t, w.ecsState(), first.served(), "of its own region, and no other")
			second := other.start().ready()
			all := w.ecsState()
			maps.Copy(all, other.ecsState())
			assert.Equal(t, all, second.served())
			assert.Equal(t, all, first.served())
			assert.NotEmpty(t, first.leader())
			assert.NotEmpty(t, second.leader())
			assert.NotEqual(t, first.leader(), second.leader(), "each leads in its region")
		})
	}
}

// While the service of the other region cannot reconcile, the first serves its own clusters, and says what it lacks.
func TestRegions_DoNotWaitForEachOther(t *testing.T) {
	faults := forbidden("ListContainerInstances")
	faults.ServerErrors = map[string]float64{"ListTasks": 1}
	w := newSystem(t, ecssim.Config{})
	other := w.beside(ecssim.Config{Region: "eu-west-1", Faults: faults})
	w.sim.AddInstances("default", 2)
	other.sim.AddInstances("secret", 3)
	const secret = "arn:aws:ecs:eu-west-1:123456789012:cluster/secret"
	second := other.start()
	first := w.start().ready()
	testenv.Eventually(t, func() bool {
		_, body := first.get("/v1/instances?cluster=" + secret)
		return body == "Not yet reconciled with ECS: "+secret+": ListContainerInstances: AccessDeniedException\n"
	})
	answer, body := first.get("/v1/instances")
	require.Equal(t, http.StatusOK, answer.StatusCode, body)
	var list models.ContainerInstances
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	assert.Len(t, list.Items, 2)
	assert.Contains(t, list.Metadata.NotReconciled, secret)
	answer, _ = first.get("/v1/instances?cluster=arn:aws:ecs:eu-west-1:123456789012:cluster/unlisted")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, "a region that is being reconciled is incomplete")
	answer, _ = first.get("/v1/instances?cluster=arn:aws:ecs:us-west-2:123456789012:cluster/unlisted")
	assert.Equal(t, http.StatusOK, answer.StatusCode, "nothing reconciles that region")
	answer, body = second.get("/v1/instances")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, body)

	other.sim.SetFaults(ecssim.Faults{})
	assert.Len(t, second.ready().served(), 5)
	_, body = first.get("/v1/instances")
	assert.NotContains(t, body, "notReconciled")
}

// leader returns the name of the replica that reconciles, by /v1/ready.
func (c *css) leader() string {
	c.t.Helper()
	_, body := c.get("/v1/ready")
	var ready models.Readiness
	require.NoError(c.t, json.Unmarshal([]byte(body), &ready))
	return *ready.Leader
}
