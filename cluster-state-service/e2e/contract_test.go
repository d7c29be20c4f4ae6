package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// Records of a region other than the simulator's, which the reconciler leaves alone.
const (
	account     = "arn:aws:ecs:eu-west-1:123456789012:"
	runningTask = account + "task/prod/1a2b3c4d5e6f47889900aabbccddeeff"
	fargateTask = account + "task/prod/ffeeddccbbaa00998877665544332211"
	shortTask   = account + "task/b99d40b3-5176-4f71-9a52-9dbd6f1cebef"
	instance    = account + "container-instance/prod/0f3c1b2a9d8e4f7685940a1b2c3d4e5f"
	draining    = account + "container-instance/other/0f3c1b2a9d8e4f7685940a1b2c3d4e5f"
)

// newStockedService starts a service whose etcd holds one record of each.
func newStockedService(t testing.TB) *css {
	t.Helper()
	w := newSystem(t, ecssim.Config{})
	w.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-running.json")))
	w.putRecord("ecs/task/prod/"+fargateTask, string(testenv.Event(t, "task-fargate-running.json")))
	w.putRecord("ecs/task/default/"+shortTask,
		string(testenv.Event(t, "task-short-arn-2017.json", "us-east-1", "eu-west-1")))
	w.putRecord("ecs/instance/prod/"+instance, string(testenv.Event(t, "instance-active.json")))
	w.putRecord("ecs/instance/other/"+draining, string(testenv.Event(t, "instance-draining.json", "cluster/prod",
		"cluster/other", "instance/prod", "instance/other")))
	w.putRecord("ecs/task/prod/malformed", "a malformed record")
	return w.start().ready()
}

// arns returns the ARNs of a list's items in order.
func arns(t *testing.T, body string) []string {
	t.Helper()
	var list struct {
		Items []struct {
			Entity struct{ TaskARN, ContainerInstanceARN string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &list), body)
	require.NotNil(t, list.Items)
	found := []string{}
	for _, item := range list.Items {
		if item.Entity.TaskARN != "" {
			found = append(found, item.Entity.TaskARN)
		} else {
			found = append(found, item.Entity.ContainerInstanceARN)
		}
	}
	return found
}

func TestContract_Lists(t *testing.T) {
	c := newStockedService(t)
	for path, want := range map[string][]string{
		"/v1/tasks":                                     {shortTask, runningTask, fargateTask},
		"/v1/tasks?":                                    {shortTask, runningTask, fargateTask},
		"/v1/tasks?status=running":                      {runningTask, fargateTask},
		"/v1/tasks?status=STOPPED":                      {shortTask},
		"/v1/tasks?status=Pending":                      {},
		"/v1/tasks?status=deprovisioning":               {},
		"/v1/tasks?status=":                             {shortTask, runningTask, fargateTask},
		"/v1/tasks?cluster=":                            {shortTask, runningTask, fargateTask},
		"/v1/tasks?cluster=default":                     {shortTask},
		"/v1/tasks?cluster=pro":                         {},
		"/v1/tasks?cluster=Prod":                        {},
		"/v1/tasks?cluster=9":                           {},
		"/v1/tasks?cluster=" + account + "cluster/prod": {runningTask, fargateTask},
		"/v1/tasks?cluster=" + url.QueryEscape(account+"cluster/prod"):      {runningTask, fargateTask},
		"/v1/tasks?cluster=arn:aws:ecs:us-east-1:123456789012:cluster/prod": {},
		"/v1/tasks?cluster=arn:aws:ecs:eu-west-1:000000000000:cluster/prod": {},
		"/v1/tasks?startedBy=e2eTester":                                     {shortTask},
		"/v1/tasks?startedBy=E2ETESTER":                                     {},
		"/v1/tasks?startedBy=e2e":                                           {},
		"/v1/tasks?startedBy=": {shortTask, runningTask,
			fargateTask},
		"/v1/tasks?status=running&cluster=prod&startedBy=66fee44a-63c3-494e-aa34-476f14b4c4e3": {runningTask},
		"/v1/tasks?status=stopped&cluster=prod":                                                {},
		"/v1/instances":                                                                        {draining, instance},
		"/v1/instances?status=active":                                                          {instance},
		"/v1/instances?status=DRAINING":                                                        {draining},
		"/v1/instances?status=inactive":                                                        {},
		"/v1/instances?cluster=other":                                                          {draining},
		"/v1/instances?cluster=" + account + "cluster/other&status=active":                     {},
		// Beyond v0.3.
		"/v1/tasks?desiredStatus=stopped":                               {shortTask},
		"/v1/tasks?desiredStatus=":                                      {shortTask, runningTask, fargateTask},
		"/v1/tasks?family=agent":                                        {runningTask},
		"/v1/tasks?family=agen":                                         {},
		"/v1/tasks?taskDefinition=agent:12":                             {runningTask},
		"/v1/tasks?taskDefinition=gent:12":                              {},
		"/v1/tasks?taskDefinition=" + account + "task-definition/web:3": {fargateTask},
		"/v1/tasks?containerInstance=" + instance:                       {runningTask},
		"/v1/tasks?containerInstance=0f3c1b2a9d8e4f7685940a1b2c3d4e5f":  {runningTask},
		"/v1/tasks?launchType=fargate":                                  {fargateTask},
		"/v1/tasks?launchType=FARGATE&family=agent":                     {},
		"/v1/instances?attribute=stack:prod":                            {draining, instance},
		"/v1/instances?attribute=stack:test":                            {},
		"/v1/instances?attribute=ecs.instance-type":                     {draining, instance},
		"/v1/instances?attribute=nothing":                               {},
		"/v1/instances?ec2InstanceId=i-0a1b2c3d4e5f60718&status=active": {instance},
		"/v1/instances?ec2InstanceId=i-0":                               {},
		"/v1/instances?agentConnected=true":                             {draining, instance},
		"/v1/instances?agentConnected=false":                            {},
	} {
		t.Run(path, func(t *testing.T) {
			answer, body := c.get(path)
			assert.Equal(t, http.StatusOK, answer.StatusCode)
			assert.Equal(t, "application/json; charset=UTF-8", answer.Header.Get("Content-Type"))
			assert.True(t, strings.HasSuffix(body, "}\n") && strings.Count(body, "\n") == 1, "one value and a newline")
			assert.Equal(t, want, arns(t, body))
		})
	}
	answer, body := c.get("/v1/tasks?status=pending")
	assert.True(t, strings.HasPrefix(body, `{"items":[]`), body)
	var list struct {
		Metadata struct{ EntityVersion, ReconciledAt string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	assert.Equal(t, list.Metadata.EntityVersion, answer.Header.Get("Blox-Entity-Version"))
	assert.Equal(t, list.Metadata.ReconciledAt, answer.Header.Get("Blox-Reconciled-At"))
	assert.NotEmpty(t, list.Metadata.ReconciledAt)
}

func TestContract_ListErrors(t *testing.T) {
	c := newStockedService(t)
	const (
		unsupported = "At least one of the filters provided is unsupported"
		repeated    = "At least one of the filters provided is specified multiple times"
		several     = "; several separated by commas, after one ! to exclude them"
		desired     = "RUNNING or STOPPED" + several
		launchTypes = "EC2, FARGATE, EXTERNAL or MANAGED_INSTANCES" + several
	)
	for path, want := range map[string]string{
		"/v1/tasks?colour=red":                               unsupported,
		"/v1/tasks?Status=running":                           unsupported,
		"/v1/tasks?status=running&status=stopped&colour=red": unsupported,
		"/v1/tasks?colour=%zz":                               unsupported,
		"/v1/instances?startedBy=x":                          unsupported,
		"/v1/tasks?status=running&status=running":            repeated,
		"/v1/tasks?cluster=a&cluster=b&status=wrong":         repeated,
		"/v1/instances?status=&status=":                      repeated,
		"/v1/tasks?status=wrong&cluster=a%20b":               "Invalid status",
		"/v1/tasks?status=active":                            "Invalid status",
		"/v1/tasks?status=run%00ning":                        "Invalid status",
		"/v1/instances?status=running":                       "Invalid status",
		"/v1/tasks?cluster=a%20b":                            "Invalid cluster ARN or name",
		"/v1/tasks?cluster=a/b":                              "Invalid cluster ARN or name",
		"/v1/tasks?cluster=" + strings.Repeat("x", 256):      "Invalid cluster ARN or name",
		"/v1/instances?cluster=" + runningTask:               "Invalid cluster ARN or name",
		"/v1/instances?cluster=arn:aws:ecs:x":                "Invalid cluster ARN or name",
		"/v1/tasks?desiredStatus=pending":                    `Invalid desiredStatus "pending": must be ` + desired,
		"/v1/tasks?launchType=ec3":                           `Invalid launchType "ec3": must be ` + launchTypes,
		"/v1/instances?attribute=:x":                         `Invalid attribute ":x": must be name:value or name`,
		"/v1/instances?agentConnected=yes":                   `Invalid agentConnected "yes": must be true or false`,
		"/v1/instances?family=x":                             unsupported,
		"/v1/tasks?attribute=x":                              unsupported,
		"/v1/tasks?limit=0":                                  `Invalid limit "0": must be 1 to 1000`,
		"/v1/tasks?limit=1001":                               `Invalid limit "1001": must be 1 to 1000`,
		"/v1/tasks?limit=x":                                  `Invalid limit "x": must be 1 to 1000`,
		"/v1/tasks?limit=1&limit=1":                          repeated,
		"/v1/tasks?nextToken=x":                              "Invalid next token",
		"/v1/tasks?nextToken=e30":                            "Invalid next token",
		"/v1/clusters?status=active":                         unsupported,
	} {
		t.Run(path, func(t *testing.T) {
			answer, body := c.get(path)
			assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
			assert.Equal(t, want+"\n", body)
			assert.Equal(t, "text/plain; charset=utf-8", answer.Header.Get("Content-Type"))
		})
	}
}

func TestContract_Get(t *testing.T) {
	c := newStockedService(t)
	for name, path := range map[string]string{
		"task-ec2-running":     "/v1/tasks/prod/" + runningTask,
		"task-fargate-running": "/v1/tasks/prod/" + fargateTask,
		"task-short-arn":       "/v1/tasks/default/" + shortTask,
		"instance-active":      "/v1/instances/prod/" + instance,
		"instance-draining":    "/v1/instances/other/" + draining,
	} {
		t.Run(name, func(t *testing.T) {
			answer, raw := c.get(path)
			assert.Equal(t, http.StatusOK, answer.StatusCode)
			assert.Equal(t, "application/json; charset=UTF-8", answer.Header.Get("Content-Type"))
			cut := strings.LastIndex(path, "/arn:")
			_, encoded := c.get(path[:cut+1] + url.PathEscape(path[cut+1:]))
			assert.Equal(t, raw, encoded, "percent-encoded")
			_, colons := c.get(path[:cut+1] + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(path[cut+1:]))
			assert.Equal(t, raw, colons, "as the generated clients encode")

			var shown map[string]any
			require.NoError(t, json.Unmarshal([]byte(raw), &shown))
			shown["metadata"].(map[string]any)["entityVersion"] = "REVISION"
			stable, err := json.MarshalIndent(shown, "", "  ")
			require.NoError(t, err)
			testenv.Golden(t, name+".json", append(stable, '\n'))
		})
	}
}

func TestContract_GetErrors(t *testing.T) {
	c := newStockedService(t)
	for path, want := range map[string]string{
		"/v1/tasks/default/" + runningTask:    "Task not found",
		"/v1/tasks/prod/" + runningTask + "0": "Task not found",
		"/v1/tasks/prod/" + instance:          "Task not found",
		"/v1/tasks/prod/x":                    "Task not found",
		"/v1/tasks/prod/arn:aws:ecs":          "Task not found",
		"/v1/tasks/a%20b/" + runningTask:      "Task not found",
		"/v1/tasks/" + url.PathEscape(account+"cluster/prod") + "/" + runningTask: "Task not found",
		"/v1/instances/prod/" + runningTask:                                       "Instance not found",
		"/v1/instances/prod/" + draining:                                          "Instance not found",
		"/v1/instances/%00/" + instance:                                           "Instance not found",
	} {
		t.Run(path, func(t *testing.T) {
			answer, body := c.get(path)
			assert.Equal(t, http.StatusNotFound, answer.StatusCode)
			assert.Equal(t, want+"\n", body)
			assert.Equal(t, "text/plain; charset=utf-8", answer.Header.Get("Content-Type"))
		})
	}
}

func TestContract_PathsAndMethods(t *testing.T) {
	c := newStockedService(t)
	for path, want := range map[string]string{
		"/v1/tasks/":                      "/v1/tasks",
		"/v1//tasks?status=running&x=%2F": "/v1/tasks?status=running&x=%2F",
		"//v1/tasks":                      "/v1/tasks",
		"/v1/tasks/prod/" + url.PathEscape(runningTask) + "/": "/v1/tasks/prod/" + url.PathEscape(runningTask),
		"/v1/tasks/prod/": "/v1/tasks/prod",
	} {
		answer, _ := c.do(http.MethodGet, path)
		assert.Contains(t, []int{http.StatusMovedPermanently, http.StatusPermanentRedirect}, answer.StatusCode, path)
		location, err := answer.Location()
		require.NoError(t, err, path)
		assert.Equal(t, c.url+want, location.String(), path)
	}
	for _, path := range []string{"/v1/nothing", "/v2/tasks", "/v1/tasks/prod", "/v1/stream", "/v1/stream/x",
		"/v1/TASKS"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			answer, _ := c.do(method, path)
			assert.Equal(t, http.StatusNotFound, answer.StatusCode, "%s %s", method, path)
			assert.Equal(t, "text/plain; charset=utf-8", answer.Header.Get("Content-Type"), path)
		}
	}
	for _, path := range []string{"/v1/tasks", "/v1/tasks/prod/" + runningTask, "/v1/instances", "/v1/stream/tasks",
		"/v1/ping"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			answer, _ := c.do(method, path)
			assert.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode, "%s %s", method, path)
			assert.Equal(t, "GET, HEAD", answer.Header.Get("Allow"))
		}
		answer, body := c.do(http.MethodHead, path)
		assert.Equal(t, http.StatusOK, answer.StatusCode, path)
		assert.Empty(t, body)
	}
	answer, _ := c.do(http.MethodHead, "/v1/stream/tasks")
	assert.Equal(t, "application/octet-stream", answer.Header.Get("Content-Type"))
}
