package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

// FuzzRequests sends arbitrary requests to a running service. It answers as the specification says or with an error
// in plain text, and etcd does not change.
func FuzzRequests(f *testing.F) {
	for _, target := range []string{
		"/v1/tasks", "/v1/tasks?status=running&cluster=prod&startedBy=x&limit=1", "/v1/tasks?nextToken=e30",
		"/v1/tasks/prod/" + runningTask, "/v1/tasks/prod/" + strings.ReplaceAll(runningTask, "/", "%2F"),
		"/v1/tasks/prod", "/v1/tasks/prod/", "/v1/instances?attribute=stack:prod&agentConnected=true", "/v1/instances/prod/" +
			instance, "/v1/instances/other/" + draining, "/v1/clusters", "/v1/clusters?a=b",
		"/v1/stream/tasks?entityVersion=1&cluster=prod&deleted=true&heartbeat=5",
		"/v1/stream/instances?entityVersion=99999999999999999999", "/v1/tasks?group=!a,b&stopCode=x&since=now",
		"/v1/stream/tasks?snapshot=true&type=true&launchType=!EC2&ec2InstanceId=i-1", "/v1/clusters?maxStaleness=9",
		"/v1/tasks?wait=1s&entityVersion=1&maxStaleness=60", "/v1/instances?wait=5m&entityVersion=99999999",
		"/v1/tasks/prod/" + runningTask + "?maxStaleness=x",
		"/v1/ping", "/v1/ready", "/v1/swagger.json", "/metrics", "*",
		"//v1//tasks/?x=%zz", "/v1/tasks?a;b", "/v1/tasks/prod/%00", "http://other/v1/tasks", "/v1/../etc",
	} {
		f.Add("GET", target, "", "")
	}
	f.Add("POST", "/v1/tasks", "{}", "")
	f.Add("POST", "/v1/instances/refresh", `{"clusterARN":"arn:aws:ecs:us-east-1:123456789012:cluster/prod",`+
		`"containerInstanceARNs":["`+instance+`"]}`, "")
	f.Add("POST", "/v1/instances/refresh", `{"clusterARN":1}`, "")
	f.Add("HEAD", "/v1/stream/tasks", "", "")
	f.Add("OPTIONS", "*", "", "")
	f.Add("CONNECT", "/v1/tasks", "", "")
	f.Add("GET", "/v1/tasks", "", "gzip")
	f.Add("get", "/v1/tasks", "x", "gzip;q=0")
	c := newStockedService(f)
	requests := &testenv.RawClient{Address: strings.TrimPrefix(c.url, "http://")}
	f.Cleanup(requests.Close)
	before := int64(0)
	f.Fuzz(func(t *testing.T, method, target, body, encoding string) {
		if before == 0 {
			before = c.revision(t)
		}
		header := []string{"Accept: */*"}
		if !strings.ContainsFunc(encoding, func(c rune) bool { return c < ' ' || c > '~' }) {
			header = append(header, "Accept-Encoding: "+encoding)
		}
		answer, read, sent := requests.Send(t, method, target, body, header...)
		if !sent {
			return
		}
		switch status := answer.StatusCode; {
		case status >= 500:
			t.Errorf("%q %q: %d %s", method, target, status, read)
		case status >= 400:
			testenv.RequireTextError(t, answer, read)
		case status >= 300:
			location := answer.Header.Get("Location")
			assert.True(t, strings.HasPrefix(location, "."), "%q leads to %q, which is not relative", target, location)
		case method != http.MethodHead && answer.Header.Get("Content-Encoding") == "" && c.spec.HasOperation(answer.Request):
			c.spec.CheckResponse(t, answer, read)
		}
		assert.Equal(t, before, c.revision(t), "%q %q %q", method, target, body)
	})
}

// FuzzStoredRecords stores arbitrary values under a task's key. The list holds all other tasks, and this one if it is
// valid.
func FuzzStoredRecords(f *testing.F) {
	for _, body := range testenv.Events(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"detail":{"clusterArn":"` + account + `cluster/prod","taskArn":"` + runningTask +
		`","containers":null,"lastStatus":"\xff"}}`))
	c := newStockedService(f)
	requests := &testenv.RawClient{Address: strings.TrimPrefix(c.url, "http://")}
	f.Cleanup(requests.Close)
	key := "ecs/task/prod/" + runningTask
	f.Fuzz(func(t *testing.T, value []byte) {
		_, err := c.client.Put(t.Context(), key, string(value))
		require.NoError(t, err)
		want := []string{shortTask, fargateTask}
		if task, err := state.DecodeTask(value); err == nil {
			want = []string{shortTask, task.ARN, fargateTask}
		}
		answer, read, _ := requests.Send(t, "GET", "/v1/tasks", "")
		require.Equal(t, 200, answer.StatusCode, "%s", read)
		c.spec.CheckResponse(t, answer, read)
		assert.Equal(t, want, arns(t, string(read)))
		answer, read, _ = requests.Send(t, "GET", "/v1/tasks/prod/"+runningTask, "")
		assert.Equal(t, map[bool]int{true: 200, false: 404}[len(want) == 3], answer.StatusCode, "%s", read)
		answer, _, _ = requests.Send(t, "GET", "/v1/clusters", "")
		assert.Equal(t, 200, answer.StatusCode)
	})
}
