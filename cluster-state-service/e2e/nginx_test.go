package e2e

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// nginx with its defaults buffers responses, and a path prefix is unknown to the service.
func TestNginx_PassesOnStreamsAtOnce(t *testing.T) {
	c := newStockedService(t)
	proxied := *c
	proxied.url = testenv.Nginx(t, c.url, "/blox/css")
	_, next, _ := proxied.stream("/v1/stream/tasks?entityVersion=0")
	c.awaitSubscribers(1)
	c.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	assert.Contains(t, next(), runningTask)
	c.putRecord("ecs/task/default/"+shortTask,
		string(testenv.Event(t, "task-short-arn-2017.json", "us-east-1", "eu-west-1")))
	assert.Contains(t, next(), shortTask)
}

func TestNginx_RedirectsAndDocsStayBelowThePrefix(t *testing.T) {
	c := newStockedService(t)
	proxied := testenv.Nginx(t, c.url, "/blox/css")
	for path, want := range map[string]string{
		"/v1/tasks/?status=running":            "/v1/tasks?status=running",
		"/docs/":                               "/docs",
		"/docs":                                "/docs",
		"/docs/docs.js":                        "/docs/docs.js",
		"/v1/swagger.json":                     "/v1/swagger.json",
		"/v1/instances/prod/" + instance + "/": "/v1/instances/prod/" + instance,
	} {
		answer, body := follow(t, proxied+path)
		assert.Equal(t, http.StatusOK, answer.StatusCode, path)
		assert.Equal(t, proxied+want, answer.Request.URL.String(), path)
		assert.NotEmpty(t, body, path)
	}
}

// follow sends a GET and follows redirects. The response's Request is the last one.
func follow(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(body)
}
