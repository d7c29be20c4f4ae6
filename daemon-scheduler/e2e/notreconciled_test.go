package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// ECS rejects to list the container instances of one cluster. Nothing is started or completed there, as if it were
// empty, and other clusters are served.
func TestDeployment_WaitsForAClusterThatWasNeverReconciled(t *testing.T) {
	t.Parallel()
	w := newSystemWith(t, ecssim.Config{Faults: ecssim.Faults{
		Refusals: map[string]ecssim.Refusal{
			"ListContainerInstances": {Code: "AccessDeniedException", Fraction: 1, Cluster: "secret"},
		},
	}})
	w.sim.AddInstances("prod", 2)
	w.sim.AddInstances("secret", 2)
	d := w.startServices()
	d.awaitReady()
	ids := map[string]string{}
	for _, cluster := range []string{"secret", "prod"} {
		var created models.Environment
		d.mustSend("POST", "/v1/environments", `{"name":"in-`+cluster+`","instanceGroup":{"cluster":"`+cluster+
			`"},"taskDefinition":"agent"}`, &created)
		ids[cluster] = d.deploy(created)
	}
	d.awaitCompleted("in-prod", ids["prod"])
	conditionsOf := func(name string) (types []string) {
		for _, c := range d.getEnvironment(name).Conditions {
			types = append(types, *c.Type)
		}
		return types
	}
	testenv.Eventually(t, func() bool { return w.sim.Calls("ListContainerInstances") >= 5 }, "the cluster is retried")
	assert.Equal(t, []string{"ClusterNotReconciled"}, conditionsOf("in-secret"))
	assert.Empty(t, conditionsOf("in-prod"))
	assert.Equal(t, "pending", *d.getDeployment("in-secret", ids["secret"]).Status)
	for _, task := range w.sim.Tasks("secret") {
		assert.Fail(t, "a task was started on the copy alone", task.ARN)
	}
	w.sim.SetFaults(ecssim.Faults{})
	d.awaitCompleted("in-secret", ids["secret"])
	assert.Empty(t, conditionsOf("in-secret"))
	assert.Len(t, w.sim.Tasks("secret"), 2)
}
