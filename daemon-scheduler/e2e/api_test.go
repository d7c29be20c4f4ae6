package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestCreate_ResolvesNamesAndARNs(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	second := w.sim.RegisterTaskDefinition("agent")
	for i, tc := range []struct{ cluster, definition, want string }{
		{"prod", "agent", second}, {prod, "agent:1", w.agent}, {"prod", w.agent, w.agent},
	} {
		var e models.Environment
		d.mustSend("POST", "/v1/environments",
			fmt.Sprintf(`{"name":"e%d","instanceGroup":{"cluster":%q},"taskDefinition":%q}`, i, tc.cluster, tc.definition), &e)
		assert.Equal(t, prod, *e.InstanceGroup.Cluster)
		assert.Equal(t, tc.want, *e.TaskDefinition)
		assert.Equal(t, e, d.getEnvironment(*e.Name))
	}
}

func TestAPI_Returns503DuringOutages(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	const body = `{"name":"x","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`
	for name, faults := range map[string]ecssim.Faults{
		"throttled": {Throttle: map[string]float64{"ecs": 1}},
		"broken":    {ServerErrors: map[string]float64{"DescribeTaskDefinition": 1}},
	} {
		w.sim.SetFaults(faults)
		answer, text := d.sendValid("POST", "/v1/environments", body)
		assert.Equal(t, 503, answer.StatusCode, name)
		assert.Equal(t, "ECS does not respond\n", text, name)
	}
	w.sim.SetFaults(ecssim.Faults{})
	e := d.createEnvironment("x")

	w.etcd.Stop()
	var asking sync.WaitGroup
	for _, path := range []string{"/v1/environments", "/v1/environments/x", "/v1/environments/x/deployments"} {
		asking.Go(func() {
			answer, text := d.sendValid("GET", path, "")
			assert.Equal(t, 503, answer.StatusCode, path)
			assert.Equal(t, "etcd does not respond\n", text, path)
			assert.Equal(t, "1", answer.Header.Get("Retry-After"))
		})
	}
	asking.Wait()
	answer, _ := d.sendValid("GET", "/v1/ping", "")
	assert.Equal(t, 200, answer.StatusCode)
	answer, text := d.sendValid("GET", "/v1/ready", "")
	assert.Equal(t, 503, answer.StatusCode)
	assert.Contains(t, text, "etcd does not respond")

	w.etcd.Start()
	testenv.Eventually(t, func() bool {
		answer, _ := d.send("GET", "/v1/environments/x", "")
		return answer.StatusCode == 200
	})
	assert.Equal(t, e, d.getEnvironment("x"))
}

func TestDeployment_IsCreatedPendingOncePerToken(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startScheduler(unusedAddress)
	e := d.createEnvironment("logs")
	var made models.Deployment
	path := "/v1/environments/logs/deployments"
	d.mustSend("POST", path+"?deploymentToken="+e.DeploymentToken.String()+"&colour=red", "no JSON", &made)
	assert.Equal(t, "pending", *made.Status)
	assert.Equal(t, "logs", *made.EnvironmentName)
	assert.Equal(t, d.agent, *made.TaskDefinition)
	assert.Empty(t, made.FailedInstances)
	assert.Equal(t, made, d.getDeployment("logs", made.ID.String()))
	answer, text := d.sendValid("POST", path+"?deploymentToken="+e.DeploymentToken.String(), "")
	assert.Equal(t, 400, answer.StatusCode)
	assert.Equal(t, "Deployment with token '"+e.DeploymentToken.String()+"' already exists\n", text)
	assert.Equal(t, e.DeploymentToken, d.getEnvironment("logs").DeploymentToken, "the environment keeps its token")

	answer, text = d.sendValid("DELETE", "/v1/environments/logs", "")
	assert.Equal(t, 200, answer.StatusCode)
	assert.Empty(t, text)
	answer, _ = d.sendValid("GET", path, "")
	assert.Equal(t, 404, answer.StatusCode)
}

// Every operation of the specification is there, and answers as it says.
func TestAPI_ServesEveryOperation(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startServices()
	d.awaitReady()
	made := d.createEnvironment("logs")
	id := d.deploy(made)
	d.awaitCompleted("logs", id)
	spec, err := apiSpec()
	require.NoError(t, err)
	answered := []string{"CreateDeployment"} // by deploy, which holds its answer against the specification
	ask := func(method, path, body string) {
		t.Helper()
		answer, text := d.send(method, path, body)
		assert.Equal(t, http.StatusOK, answer.StatusCode, "%s %s: %s", method, path, text)
		specMu.Lock()
		defer specMu.Unlock()
		answered = append(answered, spec.CheckResponse(t, answer, []byte(text)))
	}
	ask("POST", "/v1/environments", `{"name":"metrics","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`)
	for _, path := range []string{"", "/logs", "/logs/deployments", "/logs/deployments/" + id, "/logs/revisions",
		"/logs/instances"} {
		ask("GET", "/v1/environments"+path, "")
	}
	for _, stream := range []string{"environments", "environments/logs/instances", "overview"} {
		ask("HEAD", "/v1/stream/"+stream, "")
	}
	ask("GET", "/v1/events?environment=logs&limit=10", "")
	ask("PATCH", "/v1/environments/logs?deploymentToken="+made.DeploymentToken.String(),
		`{"deploymentConfiguration":{"canary":{"percent":50}}}`)
	ask("POST", "/v1/environments/logs/pause", "")
	id = d.deploy(d.getEnvironment("logs"))
	ask("POST", "/v1/environments/logs/deployments/"+id+"/promote", "")
	ask("POST", "/v1/environments/logs/deployments/"+id+"/stop", "")
	ask("POST", "/v1/environments/logs/rollback", "")
	ask("POST", "/v1/environments/logs/resume", "")
	ask("DELETE", "/v1/environments/logs?stopTasks=true", "")
	for _, path := range []string{"/v1/ping", "/v1/ready", "/v1/swagger.json"} {
		ask("GET", path, "")
	}
	assert.ElementsMatch(t, spec.Operations(), answered)
}
