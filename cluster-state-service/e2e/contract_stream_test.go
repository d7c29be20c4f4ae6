package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

func TestContract_Stream(t *testing.T) {
	c := newStockedService(t)
	header, next, _ := c.stream("/v1/stream/tasks?colour=red")
	assert.Equal(t, "application/octet-stream", header.Get("Content-Type"))
	assert.Empty(t, header.Get("Content-Length"))
	_, nextZero, _ := c.stream("/v1/stream/tasks?entityVersion=0")

	version := c.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	c.putRecord("ecs/instance/prod/"+instance, string(testenv.Event(t, "instance-draining.json")))
	_, err := c.client.Delete(t.Context(), "ecs/task/prod/"+fargateTask)
	require.NoError(t, err)
	last := c.putRecord("ecs/task/default/"+shortTask,
		string(testenv.Event(t, "task-short-arn-2017.json", "us-east-1", "eu-west-1")))
	for _, next := range []func() string{next, nextZero} {
		for _, want := range []struct {
			arn     string
			version int64
		}{{runningTask, version}, {shortTask, last}} { // neither instances nor deletions
			line := next()
			c.spec.CheckDefinition(t, "Task", []byte(line))
			assert.Equal(t, fmt.Sprintf(`{"metadata":{"entityVersion":"%d"}`, want.version), metadataOf(t, line))
			assert.Contains(t, line, `"taskARN":"`+want.arn+`"`)
		}
	}
	_, body := c.get("/v1/tasks/prod/" + runningTask)
	_, from, _ := c.stream("/v1/stream/tasks?entityVersion=" + strconv.FormatInt(version, 10))
	assert.Equal(t, body, from()+"\n", "the version itself is included, and a line equals GET's response")
	assert.Contains(t, from(), shortTask)

	_, instances, _ := c.stream("/v1/stream/instances?entityVersion=" + strconv.FormatInt(version, 10))
	line := instances()
	c.spec.CheckDefinition(t, "ContainerInstance", []byte(line))
	assert.Contains(t, line, `"status":"DRAINING"`)
}

// metadataOf returns the beginning of a line up to the end of its metadata.
func metadataOf(t *testing.T, line string) string {
	t.Helper()
	var parsed struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	require.NoError(t, json.Unmarshal([]byte(line), &parsed))
	return `{"metadata":` + string(parsed.Metadata)
}

func TestStream_Options(t *testing.T) {
	c := newStockedService(t)
	_, byName, _ := c.stream("/v1/stream/tasks?cluster=prod&deleted=true")
	_, byARN, _ := c.stream("/v1/stream/tasks?deleted=true&cluster=" + account + "cluster/prod")
	const prod = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
	_, elsewhere, _ := c.stream("/v1/stream/tasks?heartbeat=1&deleted=true&cluster=" + prod)
	c.putRecord("ecs/task/default/"+shortTask,
		string(testenv.Event(t, "task-short-arn-2017.json", "us-east-1", "eu-west-1")))
	_, err := c.client.Delete(t.Context(), "ecs/task/prod/"+fargateTask)
	require.NoError(t, err)
	last := c.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	for _, next := range []func() string{byName, byARN} {
		assert.JSONEq(t, fmt.Sprintf(`{"metadata":{"entityVersion":"%d","deleted":true},`+
			`"entity":{"clusterARN":"%scluster/prod","taskARN":"%s"}}`,
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

func TestContract_StreamErrors(t *testing.T) {
	c := newStockedService(t)
	version := c.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
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
		"entityVersion=99999999999999999999999": "Invalid entity version",
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
