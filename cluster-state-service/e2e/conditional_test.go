package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// getIfNoneMatch sends a GET with a header If-None-Match and checks the response against the specification.
func (c *css) getIfNoneMatch(path, tags string) (*http.Response, string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	require.NoError(c.t, err)
	request.Header.Set("If-None-Match", tags)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	require.NoError(c.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(c.t, err)
	c.spec.CheckResponse(c.t, answer, body)
	return answer, string(body)
}

func TestConditional_AnswersNotModifiedUntilTheContentChanges(t *testing.T) {
	c := newStockedService(t)
	replica := c.start().ready()
	paths := []string{
		"/v1/tasks", "/v1/tasks?status=running", "/v1/tasks?ec2InstanceId=i-0a1b2c3d4e5f60718", "/v1/instances",
		"/v1/clusters", "/v1/tasks/prod/" + runningTask, "/v1/instances/prod/" + instance,
	}
	tags := map[string]string{}
	for _, path := range paths {
		answer, _ := c.get(path)
		tags[path] = answer.Header.Get("ETag")
		require.NotEmpty(t, tags[path], path)
	}
	unchanged := func(c *css, path, header string) bool {
		answer, body := c.getIfNoneMatch(path, header)
		if answer.StatusCode == http.StatusOK {
			return false
		}
		assert.Equal(t, http.StatusNotModified, answer.StatusCode, path)
		assert.Empty(t, body, path)
		assert.Equal(t, tags[path], answer.Header.Get("ETag"), path)
		assert.NotEmpty(t, answer.Header.Get("Blox-Entity-Version"), path)
		return true
	}
	_, err := c.client.Put(t.Context(), "elsewhere", "x") // a revision that changes nothing of Blox
	require.NoError(t, err)
	for _, path := range paths {
		strong := strings.TrimPrefix(tags[path], "W/")
		for _, header := range []string{tags[path], strong, "W/" + strong, `"a", W/"b",` + tags[path], "*"} {
			assert.True(t, unchanged(c, path, header), "%s %s", path, header)
		}
		assert.True(t, unchanged(replica, path, tags[path]), "another replica's tag: %s", path)
		assert.False(t, unchanged(c, path, `"a", "b"`), path)
	}

	c.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	for _, path := range paths {
		if strings.HasPrefix(path, "/v1/instances") {
			assert.True(t, unchanged(c, path, tags[path]), path)
		} else {
			assert.False(t, unchanged(c, path, tags[path]), path)
		}
	}
	c.putRecord("ecs/instance/prod/"+instance, string(testenv.Event(t, "instance-draining.json")))
	assert.False(t, unchanged(c, "/v1/instances", tags["/v1/instances"]))
}

func TestMaxStaleness_AnswersFromMemoryWhileEtcdIsAway(t *testing.T) {
	c := newStockedService(t)
	_, before := c.get("/v1/tasks/prod/" + runningTask)
	c.system.etcd.Stop()
	for path, want := range map[string]int{
		"/v1/tasks/prod/" + runningTask + "?maxStaleness=3600": http.StatusOK,
		"/v1/tasks?maxStaleness=3600&status=running":           http.StatusOK,
		"/v1/clusters?maxStaleness=3600":                       http.StatusOK,
		"/v1/tasks":                                            http.StatusServiceUnavailable,
		"/v1/tasks/prod/" + runningTask + "?maxStaleness=0":    http.StatusServiceUnavailable,
	} {
		answer, body := c.get(path)
		assert.Equal(t, want, answer.StatusCode, path)
		if strings.HasSuffix(path, runningTask+"?maxStaleness=3600") {
			assert.Equal(t, before, body)
		}
	}
}

func TestConditional_RejectsInvalidParameters(t *testing.T) {
	c := newStockedService(t)
	before := c.revision(t)
	for path, want := range map[string]string{
		"/v1/tasks?wait=1":                                  `Invalid wait "1": must be 1s to 5m`,
		"/v1/tasks?wait=6m&entityVersion=1":                 `Invalid wait "6m": must be 1s to 5m`,
		"/v1/tasks?wait=-1s&entityVersion=1":                `Invalid wait "-1s": must be 1s to 5m`,
		"/v1/tasks?wait=1s":                                 `Invalid wait "1s": must be used with entityVersion`,
		"/v1/tasks?wait=1s&entityVersion=x":                 "Invalid entity version",
		"/v1/tasks?wait=1s&entityVersion=9999":              "Entity version is out of range",
		"/v1/tasks?entityVersion=1":                         "At least one of the filters provided is unsupported",
		"/v1/tasks?maxStaleness=86401":                      `Invalid maxStaleness "86401": must be 0 to 86400 seconds`,
		"/v1/clusters?maxStaleness=-1":                      `Invalid maxStaleness "-1": must be 0 to 86400 seconds`,
		"/v1/tasks/prod/" + runningTask + "?maxStaleness=x": `Invalid maxStaleness "x": must be 0 to 86400 seconds`,
	} {
		answer, body := c.get(path)
		assert.Equal(t, http.StatusBadRequest, answer.StatusCode, path)
		assert.Equal(t, want+"\n", body, path)
	}
	assert.Equal(t, before, c.revision(t))
	answer, _ := c.do(http.MethodGet, "/v1/tasks/prod/"+runningTask+"?colour=red;%zz")
	assert.Equal(t, http.StatusOK, answer.StatusCode, "unknown parameters of a get are ignored, as in v0.3")
}
