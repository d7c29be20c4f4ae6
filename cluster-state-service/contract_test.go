package clusterstate_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// What the tests of the contract store: records of another region than the simulator's, which reconcile leaves alone.
const (
	account     = "arn:aws:ecs:eu-west-1:123456789012:"
	runningTask = account + "task/prod/1a2b3c4d5e6f47889900aabbccddeeff"
	fargateTask = account + "task/prod/ffeeddccbbaa00998877665544332211"
	shortTask   = account + "task/b99d40b3-5176-4f71-9a52-9dbd6f1cebef"
	instance    = account + "container-instance/prod/0f3c1b2a9d8e4f7685940a1b2c3d4e5f"
	draining    = account + "container-instance/other/0f3c1b2a9d8e4f7685940a1b2c3d4e5f"
)

// stocked is a service whose etcd holds one of each.
func stocked(t testing.TB) *css {
	t.Helper()
	w := newWorld(t, ecssim.Config{})
	w.put("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-running.json")))
	w.put("ecs/task/prod/"+fargateTask, string(testenv.Event(t, "task-fargate-running.json")))
	w.put("ecs/task/default/"+shortTask, string(testenv.Event(t, "task-short-arn-2017.json", "us-east-1", "eu-west-1")))
	w.put("ecs/instance/prod/"+instance, string(testenv.Event(t, "instance-active.json")))
	w.put("ecs/instance/other/"+draining, string(testenv.Event(t, "instance-draining.json", "cluster/prod", "cluster/other", "instance/prod", "instance/other")))
	w.put("ecs/task/prod/odd", "an odd record")
	return w.start().ready()
}

// arns is the ARNs of a list's items in order.
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

func TestLists(t *testing.T) {
	c := stocked(t)
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
		"/v1/tasks?cluster=" + url.QueryEscape(account+"cluster/prod"):                         {runningTask, fargateTask},
		"/v1/tasks?cluster=arn:aws:ecs:us-east-1:123456789012:cluster/prod":                    {},
		"/v1/tasks?cluster=arn:aws:ecs:eu-west-1:000000000000:cluster/prod":                    {},
		"/v1/tasks?startedBy=e2eTester":                                                        {shortTask},
		"/v1/tasks?startedBy=E2ETESTER":                                                        {},
		"/v1/tasks?startedBy=e2e":                                                              {},
		"/v1/tasks?startedBy=":                                                                 {shortTask, runningTask, fargateTask},
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

func TestListErrors(t *testing.T) {
	c := stocked(t)
	const unsupported, repeated = "At least one of the filters provided is unsupported", "At least one of the filters provided is specified multiple times"
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
		"/v1/tasks?desiredStatus=pending":                    "Invalid desired status",
		"/v1/tasks?launchType=ec3":                           "Invalid launch type",
		"/v1/instances?attribute=:x":                         "Invalid attribute, want name:value or name",
		"/v1/instances?agentConnected=yes":                   "Invalid agentConnected, want true or false",
		"/v1/instances?family=x":                             unsupported,
		"/v1/tasks?attribute=x":                              unsupported,
		"/v1/tasks?limit=0":                                  "Invalid limit",
		"/v1/tasks?limit=1001":                               "Invalid limit",
		"/v1/tasks?limit=x":                                  "Invalid limit",
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

func TestGet(t *testing.T) {
	c := stocked(t)
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

func TestGetErrors(t *testing.T) {
	c := stocked(t)
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

func TestPathsAndMethods(t *testing.T) {
	c := stocked(t)
	for path, want := range map[string]string{
		"/v1/tasks/":                      "/v1/tasks",
		"/v1//tasks?status=running&x=%2F": "/v1/tasks?status=running&x=%2F",
		"//v1/tasks":                      "/v1/tasks",
		"/v1/tasks/prod/" + url.PathEscape(runningTask) + "/": "/v1/tasks/prod/" + url.PathEscape(runningTask),
		"/v1/tasks/prod/": "/v1/tasks/prod",
	} {
		answer, _ := c.do(http.MethodGet, path)
		assert.Contains(t, []int{http.StatusMovedPermanently, http.StatusPermanentRedirect}, answer.StatusCode, path)
		assert.Equal(t, want, answer.Header.Get("Location"), path)
	}
	for _, path := range []string{"/", "/v1", "/v1/nothing", "/v2/tasks", "/v1/tasks/prod", "/v1/stream", "/v1/stream/x", "/v1/TASKS"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			answer, _ := c.do(method, path)
			assert.Equal(t, http.StatusNotFound, answer.StatusCode, "%s %s", method, path)
			assert.Equal(t, "text/plain; charset=utf-8", answer.Header.Get("Content-Type"), path)
		}
	}
	for _, path := range []string{"/v1/tasks", "/v1/tasks/prod/" + runningTask, "/v1/instances", "/v1/stream/tasks", "/v1/ping"} {
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

func TestServiceEndpoints(t *testing.T) {
	c := stocked(t)
	answer, body := c.get("/v1/ping")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	assert.Empty(t, body)
	assert.Equal(t, "application/json; charset=UTF-8", answer.Header.Get("Content-Type"))

	_, body = c.get("/v1/ready")
	var ready struct {
		Ready   bool
		Leader  string
		Reasons []string
	}
	require.NoError(t, json.Unmarshal([]byte(body), &ready))
	assert.True(t, ready.Ready)
	assert.NotEmpty(t, ready.Leader)
	assert.Empty(t, ready.Reasons)
	assert.Contains(t, body, `"reasons":[]`)

	answer, body = c.get("/v1/swagger.json")
	assert.Equal(t, "application/json; charset=UTF-8", answer.Header.Get("Content-Type"))
	assert.Contains(t, body, `"operationId": "StreamTasks"`)
}

func TestStream(t *testing.T) {
	c := stocked(t)
	header, next, _ := c.stream("/v1/stream/tasks?colour=red")
	assert.Equal(t, "application/octet-stream", header.Get("Content-Type"))
	assert.Empty(t, header.Get("Content-Length"))
	_, nextZero, _ := c.stream("/v1/stream/tasks?entityVersion=0")

	version := c.put("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	c.put("ecs/instance/prod/"+instance, string(testenv.Event(t, "instance-draining.json")))
	_, err := c.client.Delete(t.Context(), "ecs/task/prod/"+fargateTask)
	require.NoError(t, err)
	last := c.put("ecs/task/default/"+shortTask, string(testenv.Event(t, "task-short-arn-2017.json", "us-east-1", "eu-west-1")))
	for _, next := range []func() string{next, nextZero} {
		for _, want := range []struct {
			arn     string
			version int64
		}{{runningTask, version}, {shortTask, last}} { // no instance, no deletion
			line := next()
			c.spec.Model(t, "Task", []byte(line))
			assert.Equal(t, fmt.Sprintf(`{"metadata":{"entityVersion":"%d"}`, want.version), metadataOf(t, line))
			assert.Contains(t, line, `"taskARN":"`+want.arn+`"`)
		}
	}
	_, body := c.get("/v1/tasks/prod/" + runningTask)
	_, from, _ := c.stream("/v1/stream/tasks?entityVersion=" + strconv.FormatInt(version, 10))
	assert.Equal(t, body, from()+"\n", "the version itself is included, and a line is what GET shows")
	assert.Contains(t, from(), shortTask)

	_, instances, _ := c.stream("/v1/stream/instances?entityVersion=" + strconv.FormatInt(version, 10))
	line := instances()
	c.spec.Model(t, "ContainerInstance", []byte(line))
	assert.Contains(t, line, `"status":"DRAINING"`)
}

// metadataOf cuts a line after its metadata, made the first member.
func metadataOf(t *testing.T, line string) string {
	t.Helper()
	var parsed struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	require.NoError(t, json.Unmarshal([]byte(line), &parsed))
	return `{"metadata":` + string(parsed.Metadata)
}

func TestStreamOptions(t *testing.T) {
	c := stocked(t)
	_, byName, _ := c.stream("/v1/stream/tasks?cluster=prod&deleted=true")
	_, byARN, _ := c.stream("/v1/stream/tasks?deleted=true&cluster=" + account + "cluster/prod")
	_, elsewhere, _ := c.stream("/v1/stream/tasks?heartbeat=1&deleted=true&cluster=arn:aws:ecs:us-east-1:123456789012:cluster/prod")
	c.put("ecs/task/default/"+shortTask, string(testenv.Event(t, "task-short-arn-2017.json", "us-east-1", "eu-west-1")))
	_, err := c.client.Delete(t.Context(), "ecs/task/prod/"+fargateTask)
	require.NoError(t, err)
	last := c.put("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	for _, next := range []func() string{byName, byARN} {
		assert.JSONEq(t, fmt.Sprintf(`{"metadata":{"entityVersion":"%d","deleted":true},"entity":{"clusterARN":"%scluster/prod","taskARN":"%s"}}`,
			last-1, account, fargateTask), next())
		assert.Contains(t, next(), runningTask)
	}
	// Heartbeats only: the same name in another region is another cluster.
	testenv.Eventually(t, func() bool {
		var beat struct {
			Metadata struct{ EntityVersion string }
			Entity   any
		}
		require.NoError(t, json.Unmarshal([]byte(elsewhere()), &beat))
		assert.Nil(t, beat.Entity)
		version, err := strconv.ParseInt(beat.Metadata.EntityVersion, 10, 64)
		require.NoError(t, err)
		return version >= last
	})
}

func TestStreamErrors(t *testing.T) {
	c := stocked(t)
	version := c.put("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	_, err := c.client.Compact(t.Context(), version)
	require.NoError(t, err)
	for query, want := range map[string]string{
		"entityVersion=x":                       "Invalid entity version",
		"entityVersion=-1":                      "Invalid entity version",
		"entityVersion=%2B1":                    "Invalid entity version",
		"entityVersion=1.5":                     "Invalid entity version",
		"entityVersion=%zz":                     "Invalid entity version",
		"entityVersion=1;x=2":                   "Invalid entity version",
		"entityVersion=%201":                    "Invalid entity version",
		"entityVersion=0x10":                    "Invalid entity version",
		"entityVersion=1":                       "Entity version is out of range",
		"entityVersion=99999999":                "Entity version is out of range",
		"entityVersion=9223372036854775807":     "Entity version is out of range",
		"entityVersion=99999999999999999999999": "Entity version is out of range",
		"cluster=a%20b":                         "Invalid cluster ARN or name",
	} {
		for _, path := range []string{"/v1/stream/tasks?", "/v1/stream/instances?"} {
			answer, body := c.get(path + query)
			assert.Equal(t, http.StatusBadRequest, answer.StatusCode, path+query)
			assert.Equal(t, want+"\n", body, path+query)
		}
	}
	for _, query := range []string{"heartbeat=0", "heartbeat=301", "heartbeat=x", "deleted=maybe"} {
		answer, body := c.get("/v1/stream/tasks?" + query)
		assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
		assert.Contains(t, body, strings.Split(query, "=")[0])
	}
}

// Pages hold each item once, in order, and know the list that they are of.
func TestPages(t *testing.T) {
	c := stocked(t)
	page := func(query string) (items []string, next string) {
		t.Helper()
		answer, body := c.get("/v1/tasks?" + query)
		require.Equal(t, http.StatusOK, answer.StatusCode, body)
		var list struct{ NextToken string }
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		return arns(t, body), list.NextToken
	}
	first, next := page("limit=2")
	assert.Equal(t, []string{shortTask, runningTask}, first)
	require.NotEmpty(t, next)
	second, end := page("limit=2&nextToken=" + next)
	assert.Equal(t, []string{fargateTask}, second)
	assert.Empty(t, end, "the last page")
	rest, end := page("nextToken=" + next)
	assert.Equal(t, second, rest, "without a limit: all that is left")
	assert.Empty(t, end)
	all, end := page("limit=3")
	assert.Len(t, all, 3)
	assert.Empty(t, end, "nothing follows")

	one, next := page("cluster=prod&limit=1")
	assert.Equal(t, []string{runningTask}, one)
	two, _ := page("cluster=prod&limit=1&nextToken=" + next)
	assert.Equal(t, []string{fargateTask}, two)
	for _, query := range []string{"", "cluster=default&", "cluster=prod&status=running&"} {
		answer, body := c.get("/v1/tasks?" + query + "nextToken=" + next)
		assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
		assert.Equal(t, "Invalid next token\n", body, "a token of another list")
	}
	answer, body := c.get("/v1/instances?cluster=prod&nextToken=" + next)
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode, body)

	// What the token names may be gone meanwhile.
	_, err := c.client.Delete(t.Context(), "ecs/task/prod/"+runningTask)
	require.NoError(t, err)
	two, _ = page("cluster=prod&limit=1&nextToken=" + next)
	assert.Equal(t, []string{fargateTask}, two)
}

func TestClusters(t *testing.T) {
	c := stocked(t)
	answer, body := c.get("/v1/clusters")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	var list struct{ Items json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	assert.JSONEq(t, `[
		{"clusterARN":"`+account+`cluster/default","name":"default","agentsConnected":0,"instances":{},"tasks":{"STOPPED":1}},
		{"clusterARN":"`+account+`cluster/other","name":"other","agentsConnected":1,"instances":{"DRAINING":1},"tasks":{}},
		{"clusterARN":"`+account+`cluster/prod","name":"prod","agentsConnected":1,"instances":{"ACTIVE":1},"tasks":{"RUNNING":2}}]`, string(list.Items))
}

// Lists come in gzip for those who accept it, and say the same.
func TestGzip(t *testing.T) {
	c := stocked(t)
	for n := range 30 { // enough for it to pay
		id := fmt.Sprintf("%032x", n)
		c.put("ecs/task/prod/"+account+"task/prod/"+id, string(testenv.Event(t, "task-ec2-running.json", "1a2b3c4d5e6f47889900aabbccddeeff", id)))
	}
	_, plain := c.get("/v1/tasks")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/v1/tasks", nil)
	require.NoError(t, err)
	request.Header.Set("Accept-Encoding", "gzip")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	assert.Equal(t, "gzip", answer.Header.Get("Content-Encoding"))
	assert.Equal(t, "Accept-Encoding", answer.Header.Get("Vary"))
	assert.Equal(t, "application/json; charset=UTF-8", answer.Header.Get("Content-Type"))
	unzip, err := gzip.NewReader(answer.Body)
	require.NoError(t, err)
	body, err := io.ReadAll(unzip)
	require.NoError(t, err)
	assert.Equal(t, plain, string(body))
}

// What an operator watches is there, under names that stay.
func TestMetrics(t *testing.T) {
	c := stocked(t)
	_, _, end := c.stream("/v1/stream/tasks")
	defer end()
	c.get("/v1/tasks/prod/" + runningTask)
	c.do(http.MethodGet, "/v1/nothing/at/all")
	c.do("BREW", "/v1/tasks")
	c.send(string(testenv.Event(t, "task-ec2-stopped.json")))
	testenv.Eventually(t, func() bool { return c.served()[runningTask] == "STOPPED" })
	answer, body := c.do(http.MethodGet, "/metrics")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	for _, line := range []string{
		`blox_http_requests_total{code="200",method="GET",route="/v1/tasks/{cluster}/{arn...}"} 1`,
		`blox_http_requests_total{code="404",method="GET",route="none"} 1`,
		`blox_http_requests_total{code="405",method="other",route="none"} 1`,
		`blox_css_stream_subscribers{kind="task"} 1`,
		`blox_store_records_total{outcome="written"} 1`,
		`blox_css_cache_tasks 3`, `blox_css_cache_instances 2`, `blox_css_cache_loads_total 1`,
		`blox_reconcile_cluster_failures_total 0`,
	} {
		assert.Contains(t, body, line+"\n")
	}
	for _, name := range []string{
		"blox_http_request_duration_seconds_bucket", "blox_store_transaction_duration_seconds_count", "blox_css_cache_revision",
		"blox_css_cache_wait_current_seconds_count", "blox_css_cache_revision_read_seconds_count", "blox_css_cache_lag_revisions 0", "blox_event_age_seconds_count", "blox_reconcile_duration_seconds_count", "blox_reconcile_ecs_calls_total", "go_goroutines",
	} {
		assert.Contains(t, body, "\n"+name)
	}
	assert.Regexp(t, `blox_http_request_duration_seconds_count\{code="200",route="/v1/tasks/\{cluster\}/\{arn...\}"\} 1\n`, body)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, name := range regexp.MustCompile(`# TYPE (blox_\w+)`).FindAllStringSubmatch(body, -1) {
		assert.Contains(t, string(readme), "`"+name[1], "the README tells of every metric")
	}
}

// Every operation of the specification is there, and answers as it says.
func TestEveryOperation(t *testing.T) {
	c := stocked(t)
	var answered []string
	for _, path := range []string{
		"/v1/instances", "/v1/instances/prod/" + instance, "/v1/tasks", "/v1/tasks/prod/" + runningTask, "/v1/clusters",
		"/v1/ping", "/v1/ready", "/v1/swagger.json",
	} {
		answer, body := c.do(http.MethodGet, path)
		assert.Equal(t, http.StatusOK, answer.StatusCode, path)
		answered = append(answered, c.spec.Check(t, answer, []byte(body)))
	}
	for _, path := range []string{"/v1/stream/instances", "/v1/stream/tasks"} { // without an end, but for HEAD
		answer, body := c.do(http.MethodHead, path)
		assert.Equal(t, http.StatusOK, answer.StatusCode, path)
		answered = append(answered, c.spec.Check(t, answer, []byte(body)))
	}
	assert.ElementsMatch(t, c.spec.Operations(), answered)
}
