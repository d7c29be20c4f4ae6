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
		assert.Equal(t, prod, e.InstanceGroup.Cluster)
		assert.Equal(t, tc.want, e.TaskDefinition)
		assert.Equal(t, e, d.getEnvironment(*e.Name))
	}
}

func TestAPI_Returns503DuringOutages(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	const body = `{"name":"x","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`
	for want, faults := range map[string]ecssim.Faults{
		"ECS throttles the calls of daemon-scheduler\n": {Throttle: map[string]float64{"ecs": 1}},
		"ECS does not respond\n":                        {ServerErrors: map[string]float64{"DescribeTaskDefinition": 1}},
	} {
		w.sim.SetFaults(faults)
		answer, text := d.sendValid("POST", "/v1/environments", body)
		assert.Equal(t, 503, answer.StatusCode, want)
		assert.Equal(t, want, text)
	}
	w.sim.SetFaults(ecssim.Faults{})
	e := d.createEnvironment("x")

	w.etcd.Stop()
	var requests sync.WaitGroup
	for _, path := range []string{"/v1/environments", "/v1/environments/x", "/v1/environments/x/deployments"} {
		requests.Go(func() {
			answer, text := d.sendValid("GET", path, "")
			assert.Equal(t, 503, answer.StatusCode, path)
			assert.Equal(t, "etcd does not respond\n", text, path)
			assert.Equal(t, "1", answer.Header.Get("Retry-After"))
		})
	}
	requests.Wait()
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
	var created models.Deployment
	path := "/v1/environments/logs/deployments"
	d.mustSend("POST", path+"?deploymentToken="+e.DeploymentToken+"&colour=red", "no JSON", &created)
	assert.Equal(t, "pending", *created.Status)
	assert.Equal(t, "logs", *created.EnvironmentName)
	assert.Equal(t, d.agent, *created.TaskDefinition)
	assert.Empty(t, created.FailedInstances)
	assert.Equal(t, created, d.getDeployment("logs", *created.ID))
	answer, text := d.sendValid("POST", path+"?deploymentToken="+e.DeploymentToken, "")
	assert.Equal(t, 400, answer.StatusCode)
	assert.Equal(t, "Deployment with token '"+e.DeploymentToken+"' already exists\n", text)
	assert.Equal(t, e.DeploymentToken, d.getEnvironment("logs").DeploymentToken, "the token is unchanged")

	answer, text = d.sendValid("DELETE", "/v1/environments/logs", "")
	assert.Equal(t, 200, answer.StatusCode)
	assert.Empty(t, text)
	answer, _ = d.sendValid("GET", path, "")
	assert.Equal(t, 404, answer.StatusCode)
}

// The service implements every operation of the specification, and each response matches it.
func TestAPI_ServesEveryOperation(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startServices()
	d.awaitReady()
	created := d.createEnvironment("logs")
	id := d.deploy(created)
	d.awaitCompleted("logs", id)
	spec, err := apiSpec()
	require.NoError(t, err)
	called := []string{"createDeployment"} // deploy has called it and checked the response
	expect := func(status int, method, path, body string) {
		t.Helper()
		answer, text := d.send(method, path, body)
		assert.Equal(t, status, answer.StatusCode, "%s %s: %s", method, path, text)
		specMu.Lock()
		defer specMu.Unlock()
		called = append(called, spec.CheckResponse(t, answer, []byte(text)))
	}
	call := func(method, path, body string) { t.Helper(); expect(http.StatusOK, method, path, body) }
	call("POST", "/v1/environments", `{"name":"metrics","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`)
	for _, path := range []string{
		"", "/logs", "/logs/deployments", "/logs/deployments/" + id, "/logs/revisions", "/logs/revisions/1",
		"/logs/instances",
	} {
		call("GET", "/v1/environments"+path, "")
	}
	for _, stream := range []string{"environments", "environments/logs/instances", "overview", "events"} {
		call("HEAD", "/v1/stream/"+stream, "")
	}
	call("GET", "/v1/events?environment=logs&limit=10", "")
	call("PATCH", "/v1/environments/logs?deploymentToken="+created.DeploymentToken,
		`{"deploymentConfiguration":{"canary":{"percent":50}}}`)
	call("POST", "/v1/environments/logs/pause", "")
	id = d.deploy(d.getEnvironment("logs"))
	call("POST", "/v1/environments/logs/deployments/"+id+"/promote", "")
	call("POST", "/v1/environments/logs/deployments/"+id+"/stop", "")
	call("POST", "/v1/environments/logs/rollback", "")
	call("POST", "/v1/environments/logs/resume", "")
	expect(http.StatusConflict, "POST", "/v1/environments/logs/takeover/cancel", "") // it takes no service over
	call("DELETE", "/v1/environments/logs?stopTasks=true", "")
	for _, path := range []string{"/v1/ping", "/v1/ready", "/v1/swagger.json", "/v1/openapi.json"} {
		call("GET", path, "")
	}
	assert.ElementsMatch(t, spec.Operations(), called)
}
