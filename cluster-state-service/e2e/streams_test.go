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

// line is what tests compare of a stream's line.
type line struct {
	Type     string
	Metadata struct {
		EntityVersion   string
		Deleted, InSync bool
	}
	Entity *struct{ TaskARN, LastStatus string }
}

// summary returns a line's type, task, status and marks.
func summary(t *testing.T, text string) string {
	t.Helper()
	var l line
	require.NoError(t, json.Unmarshal([]byte(text), &l), text)
	if l.Entity == nil {
		return fmt.Sprintf("inSync=%t", l.Metadata.InSync)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", l.Type, l.Entity.TaskARN, l.Entity.LastStatus))
}

func TestStream_SnapshotThenInSyncThenChanges(t *testing.T) {
	c := newStockedService(t)
	header, next, _ := c.stream("/v1/stream/tasks?snapshot=true")
	assert.NotEmpty(t, header.Get("Blox-Entity-Version"))
	_, body := c.get("/v1/tasks")
	var list struct{ Items []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	for _, item := range list.Items {
		assert.Equal(t, string(item), next(), "the list's items, in its order")
	}
	mark := next()
	assert.Equal(t, "inSync=true", summary(t, mark))
	var synced line
	require.NoError(t, json.Unmarshal([]byte(mark), &synced))

	version := c.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	changed := next()
	assert.Equal(t, runningTask+" STOPPED", summary(t, changed))
	assert.Equal(t, fmt.Sprintf(`{"metadata":{"entityVersion":"%d"}`, version), metadataOf(t, changed))

	// The mark's version resumes the stream without the snapshot.
	_, resumed, _ := c.stream("/v1/stream/tasks?entityVersion=" + synced.Metadata.EntityVersion)
	assert.Equal(t, changed, resumed())

	_, filtered, _ := c.stream("/v1/stream/tasks?snapshot=true&type=true&launchType=FARGATE")
	assert.Equal(t, "ADDED "+fargateTask+" RUNNING", summary(t, filtered()))
	assert.Equal(t, "inSync=true", summary(t, filtered()))
	_, instances, _ := c.stream("/v1/stream/instances?snapshot=true&status=active")
	assert.Contains(t, instances(), instance)
	assert.Equal(t, "inSync=true", summary(t, instances()))
}

// An entity that enters the filters is ADDED, and one that leaves them is DELETED, in a live stream and in a replay.
func TestStream_TypesFollowTheFilters(t *testing.T) {
	c := newStockedService(t)
	_, live, _ := c.stream("/v1/stream/tasks?type=true&status=running&cluster=prod")
	_, untyped, _ := c.stream("/v1/stream/tasks?status=running&cluster=prod")
	_, all, _ := c.stream("/v1/stream/tasks?type=true")
	event := func(status string, version int) string {
		return string(testenv.Event(t, "task-ec2-running.json", `"version": 3`, fmt.Sprintf(`"version": %d`, version),
			"\"lastStatus\": \"RUNNING\",\n    \"memory\"", fmt.Sprintf("\"lastStatus\": %q,\n    \"memory\"", status)))
	}
	key := "ecs/task/prod/" + runningTask
	first := c.putRecord(key, event("RUNNING", 4))
	c.putRecord("ecs/task/default/"+shortTask,
		string(testenv.Event(t, "task-short-arn-2017.json", "us-east-1", "eu-west-1")))
	c.putRecord(key, event("STOPPING", 5))
	c.putRecord(key, event("STOPPED", 6))
	c.putRecord(key, event("RUNNING", 7))
	_, err := c.client.Delete(t.Context(), key)
	require.NoError(t, err)
	want := []string{"MODIFIED " + runningTask + " RUNNING", "DELETED " + runningTask, "ADDED " + runningTask + " RUNNING",
		"DELETED " + runningTask}
	_, resumed, _ := c.stream("/v1/stream/tasks?type=true&status=running&cluster=prod&entityVersion=" +
		strconv.FormatInt(first, 10))
	replica := c.start().ready()
	_, replayed, _ := replica.stream("/v1/stream/tasks?type=true&status=running&cluster=prod&entityVersion=" +
		strconv.FormatInt(first, 10))
	for name, next := range map[string]func() string{"live": live, "resumed": resumed, "replayed": replayed} {
		for _, w := range want {
			assert.Equal(t, w, summary(t, next()), name)
		}
	}
	for range 2 {
		assert.Equal(t, runningTask+" RUNNING", summary(t, untyped()), "no deletions without deleted or type")
	}
	for _, w := range []string{"MODIFIED " + runningTask + " RUNNING", "MODIFIED " + shortTask + " STOPPED",
		"MODIFIED " + runningTask + " STOPPING"} {
		assert.Equal(t, w, summary(t, all()))
	}
}

func TestStream_RejectsInvalidOptions(t *testing.T) {
	c := newStockedService(t)
	before := c.revision(t)
	const invalidSnapshot = `Invalid snapshot "true": must be false with an entityVersion, which resumes a stream`
	const values = "must be values separated by commas, after one ! to exclude them"
	for query, want := range map[string]string{
		"type=ADDED":                    `Invalid type "ADDED": must be true or false`,
		"snapshot=1":                    `Invalid snapshot "1": must be true or false`,
		"snapshot=true&entityVersion=1": invalidSnapshot,
		"group=a,,b":                    `Invalid group "a,,b": ` + values,
		"status=wrong":                  "Invalid status",
		"status=running&status=running": "At least one of the filters provided is specified multiple times",
	} {
		answer, body := c.get("/v1/stream/tasks?" + query)
		assert.Equal(t, http.StatusBadRequest, answer.StatusCode, query)
		assert.Equal(t, want+"\n", body)
	}
	answer, _ := c.do(http.MethodHead, "/v1/stream/instances?group=a,,b&stopCode=x&colour=red")
	assert.Equal(t, http.StatusOK, answer.StatusCode, "filters of tasks are unknown parameters of instances, as in v0.3")
	assert.Equal(t, before, c.revision(t))
}
