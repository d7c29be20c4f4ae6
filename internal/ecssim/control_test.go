package ecssim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// curl sends a request to the control API and decodes the response into out.
func (w *fixture) curl(method, path, body string, out any) int {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.ctx, method, w.url+path, strings.NewReader(body))
	require.NoError(w.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(w.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	if out != nil {
		require.NoError(w.t, json.Unmarshal(text, out), "%s", text)
	}
	return response.StatusCode
}

func TestControl_ServesEveryRequest(t *testing.T) {
	w := newFixture(t, Config{})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	var created struct {
		Cluster, TaskDefinition, Task string
		Instances                     []string
	}
	do := func(method, path string) {
		t.Helper()
		require.Equal(t, http.StatusOK, w.curl(method, path, "", &created), path)
	}
	do("POST", "/_sim/clusters?name=prod")
	assert.Equal(t, "arn:aws:ecs:us-east-1:123456789012:cluster/prod", created.Cluster)
	do("POST", "/_sim/instances?cluster=prod&count=3")
	require.Len(t, created.Instances, 3)
	do("POST", "/_sim/task-definitions?family=agent&cpu=64&memory=32&hostPort=8125")
	out := w.startIn("prod", created.TaskDefinition, created.Instances[:2]...)
	task := out[0]

	instance := url.QueryEscape(created.Instances[0])
	do("POST", "/_sim/instances/drain?instance="+instance)
	assert.Equal(t, "DRAINING", w.Instances("prod")[0].Status)
	do("POST", "/_sim/instances/activate?instance="+instance)
	assert.Equal(t, "ACTIVE", w.Instances("prod")[0].Status)
	do("POST", "/_sim/instances/agent?connected=false&instance="+instance)
	assert.False(t, w.Instances("prod")[0].AgentConnected)
	do("POST", "/_sim/instances/agent?connected=true&instance="+instance)
	do("POST", "/_sim/instances/agents?connected=false&cluster=prod")
	for _, i := range w.Instances("prod") {
		assert.False(t, i.AgentConnected)
	}
	do("POST", "/_sim/instances/agents?connected=true&cluster=prod")
	do("POST", "/_sim/tasks/kill?exitCode=7&task="+task[strings.LastIndexByte(task, '/')+1:])
	assert.Equal(t, 7, *w.task(task).ExitCode)
	do("DELETE", "/_sim/instances?instance="+created.Instances[1])
	assert.Equal(t, "STOPPED", w.task(out[1]).LastStatus)
	do("POST", "/_sim/tasks/fargate?cluster=prod&family=web")
	assert.Equal(t, "FARGATE", w.task(created.Task).LaunchType)
	do("POST", "/_sim/services?service=sqs&down=true")

	var state State
	require.Equal(t, http.StatusOK, w.curl("GET", "/_sim/state?cluster=prod", "", &state))
	assert.Len(t, state.Clusters, 2)
	assert.Len(t, state.Instances, 3)
	assert.Len(t, state.Tasks, 3)
	assert.Positive(t, state.Queues["blox_queue"])
	assert.Equal(t, []string{"sqs"}, state.Down)
	var counters Counters
	require.Equal(t, http.StatusOK, w.curl("GET", "/_sim/counters", "", &counters))
	assert.Equal(t, map[string]int{"succeeded": 1}, counters.Calls["StartTask"])
	require.Equal(t, http.StatusOK, w.curl("DELETE", "/_sim/counters", "", &counters))
	assert.Zero(t, w.Calls("StartTask"))
	do("GET", "/_sim/ping")

	var faults Faults
	require.Equal(
		t, http.StatusOK,
		w.curl(
			"PUT", "/_sim/faults", `{"throttle":{"StartTask":0.5},"latency":{"sqs":"1ms"},"events":{"duplicate":0.1}}`, &faults,
		),
	)
	assert.Equal(t, 0.5, w.Faults().Throttle["StartTask"])
	require.Equal(t, http.StatusOK, w.curl("GET", "/_sim/faults", "", &faults))
	assert.Equal(t, w.Faults(), faults)
}

func (w *fixture) startIn(cluster, definition string, instances ...string) (arns []string) {
	w.t.Helper()
	var out struct{ Tasks []struct{ TaskArn string } }
	body, err := json.Marshal(map[string]any{
		"cluster": cluster, "taskDefinition": definition, "containerInstances": instances,
	})
	require.NoError(w.t, err)
	status, answer := w.call(ecsTarget+"StartTask", string(body))
	require.Equal(w.t, http.StatusOK, status)
	require.NoError(w.t, json.Unmarshal(answer, &out))
	for _, task := range out.Tasks {
		arns = append(arns, task.TaskArn)
	}
	return arns
}

func TestControl_RejectsInvalidRequests(t *testing.T) {
	w := newFixture(t, Config{})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	before := w.Faults()
	for path, want := range map[string]int{
		"POST /_sim/clusters":                                   400,
		"POST /_sim/clusters?name=a%20b":                        400,
		"POST /_sim/instances?count=0":                          400,
		"POST /_sim/instances?count=5001":                       400,
		"POST /_sim/instances?count=1&count=2":                  400,
		"POST /_sim/instances?number=1":                         400,
		"POST /_sim/instances?cluster=a%20b":                    400,
		"POST /_sim/instances?cluster=%zz":                      400,
		"DELETE /_sim/instances":                                404,
		"DELETE /_sim/instances?instance=nope":                  404,
		"POST /_sim/instances/drain?instance=nope":              404,
		"POST /_sim/instances/agent?instance=nope":              400,
		"POST /_sim/instances/agent?instance=x&connected=false": 404,
		"POST /_sim/instances/agents?cluster=x":                 400,
		"POST /_sim/instances/agents?connected=true":            404,
		"POST /_sim/instances/agents?cluster=x&connected=true":  404,
		"POST /_sim/task-definitions?family=":                   400,
		"POST /_sim/task-definitions?family=a&hostPort=70000":   400,
		"POST /_sim/tasks/kill?task=nope":                       404,
		"POST /_sim/tasks/kill?task=nope&exitCode=256":          400,
		"POST /_sim/tasks/fargate?cluster=default":              400,
		"POST /_sim/services?service=s3&down=true":              400,
		"POST /_sim/services?service=sqs":                       400,
		"PUT /_sim/faults":                                      400,
		"POST /_sim/state":                                      405,
		"DELETE /_sim/faults":                                   405,
		"GET /_sim/nope":                                        404,
		"GET /_sim":                                             404,
		"GET /":                                                 405,
	} {
		method, path, _ := strings.Cut(path, " ")
		assert.Equal(t, want, w.curl(method, path, "", nil), "%s %s", method, path)
	}
	for _, body := range []string{
		`{`, `[]`, `{"nope":1}`, `{"throttle":{"StartTask":1.5}}`, `{"throttle":{"NoAction":0.5}}`, `{"events":{"drop":-1}}`,
		`{"latency":{"ecs":5}}`,
		`{"latency":{"ecs":"-5s"}}`, `{"latency":{"s3":"5s"}}`, `{"exits":{"a":{"fraction":2}}}`, `{"failToRun":{"a":2}}`,
		`{"startFailures":-0.1}`,
	} {
		var rejected struct{ Error string }
		assert.Equal(t, http.StatusBadRequest, w.curl("PUT", "/_sim/faults", body, &rejected), body)
		assert.NotEmpty(t, rejected.Error)
	}
	assert.Equal(t, before, w.Faults())
}
