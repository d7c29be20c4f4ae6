package e2e

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

func TestAPI_PingReadyAndSpec(t *testing.T) {
	c := newStockedService(t)
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

// The pages of a list hold each item once, in order. A token continues only the list that returned it.
func TestList_Pages(t *testing.T) {
	c := newStockedService(t)
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
	assert.Equal(t, second, rest, "all remaining items without a limit")
	assert.Empty(t, end)
	all, end := page("limit=3")
	assert.Len(t, all, 3)
	assert.Empty(t, end, "no further page")

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

	// The item that the token names may have been deleted since.
	_, err := c.client.Delete(t.Context(), "ecs/task/prod/"+runningTask)
	require.NoError(t, err)
	two, _ = page("cluster=prod&limit=1&nextToken=" + next)
	assert.Equal(t, []string{fargateTask}, two)
}

func TestAPI_Clusters(t *testing.T) {
	c := newStockedService(t)
	answer, body := c.get("/v1/clusters")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	var list struct{ Items json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	assert.JSONEq(t, `[
		{
			"clusterARN":"`+account+`cluster/default","name":"default","agentsConnected":0,"instances":{},
			"tasks":{"STOPPED":1},"account":"123456789012","region":"eu-west-1"
		},
		{
			"clusterARN":"`+account+`cluster/other","name":"other","agentsConnected":1,"instances":{"DRAINING":1},
			"tasks":{},"account":"123456789012","region":"eu-west-1"
		},
		{
			"clusterARN":"`+account+`cluster/prod","name":"prod","agentsConnected":1,"instances":{"ACTIVE":1},
			"tasks":{"RUNNING":2},"account":"123456789012","region":"eu-west-1"
		}
	]`, string(list.Items))
}

// A client that accepts gzip receives the same list compressed.
func TestList_Gzip(t *testing.T) {
	c := newStockedService(t)
	for n := range 30 { // enough to be worth compressing
		id := fmt.Sprintf("%032x", n)
		c.putRecord("ecs/task/prod/"+account+"task/prod/"+id,
			string(testenv.Event(t, "task-ec2-running.json", "1a2b3c4d5e6f47889900aabbccddeeff", id)))
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

// Every metric that operators rely on is served, and documented.
func TestMetrics_AreServedAndDocumented(t *testing.T) {
	c := newStockedService(t)
	_, _, end := c.stream("/v1/stream/tasks")
	defer end()
	c.get("/v1/tasks/prod/" + runningTask)
	c.do(http.MethodGet, "/v1/nothing/at/all")
	c.do("BREW", "/v1/tasks")
	c.sendMessage(string(testenv.Event(t, "task-ec2-stopped.json")))
	testenv.Eventually(t, func() bool { return c.served()[runningTask] == "STOPPED" })
	answer, body := c.do(http.MethodGet, "/metrics")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	for _, line := range []string{
		`blox_css_http_requests_total{code="200",method="GET",route="/v1/tasks/{cluster}/{arn...}"} 1`,
		`blox_css_http_requests_total{code="404",method="GET",route="none"} 1`,
		`blox_css_http_requests_total{code="405",method="other",route="none"} 1`,
		`blox_css_stream_subscribers{kind="task"} 1`,
		`blox_css_store_records_total{outcome="written"} 1`,
		`blox_css_cache_tasks 3`, `blox_css_cache_instances 2`, `blox_css_cache_loads_total 1`,
		`blox_css_reconciliation_cluster_failures_total{source="us-east-1"} 0`,
	} {
		assert.Contains(t, body, line+"\n")
	}
	for _, name := range []string{
		"blox_css_http_request_duration_seconds_bucket", "blox_css_store_transaction_duration_seconds_count",
		"blox_css_cache_revision",
		"blox_css_cache_wait_current_seconds_count", "blox_css_cache_revision_read_seconds_count",
		"blox_css_cache_lag_revisions 0",
		"blox_css_ingest_event_age_seconds_count", "blox_css_reconciliation_duration_seconds_count",
		"blox_css_reconciliation_ecs_requests_total", "go_goroutines",
		`blox_css_aws_calls_total{action="ReceiveMessage",outcome="succeeded",service="SQS",source="us-east-1"}`,
		`blox_css_oldest_reconciliation_timestamp_seconds{account="123456789012",region="us-east-1"} 1`,
		`blox_css_ingest_receives_total{outcome="failed",source="us-east-1"} 0`,
		`blox_build_info{commit="",component="cluster-state-service",`,
	} {
		assert.Contains(t, body, "\n"+name)
	}
	assert.Regexp(t,
		`blox_css_http_request_duration_seconds_count\{code="200",route="/v1/tasks/\{cluster\}/\{arn...\}"\} 1\n`, body)
	page, err := os.ReadFile("../docs/reference/metrics.md")
	require.NoError(t, err)
	for _, name := range regexp.MustCompile(`# TYPE (blox_\w+)`).FindAllStringSubmatch(body, -1) {
		assert.Contains(t, string(page), "`"+name[1], "the page lists every metric")
	}
}

// The service implements every operation of the specification.
func TestAPI_GeneratedClientCallsEveryOperation(t *testing.T) {
	c := newStockedService(t)
	var answered []string
	for _, path := range []string{
		"/v1/instances", "/v1/instances/prod/" + instance, "/v1/tasks", "/v1/tasks/prod/" + runningTask, "/v1/clusters",
		"/v1/ping", "/v1/ready", "/v1/swagger.json", "/v1/openapi.json",
	} {
		answer, body := c.do(http.MethodGet, path)
		assert.Equal(t, http.StatusOK, answer.StatusCode, path)
		answered = append(answered, c.spec.CheckResponse(t, answer, []byte(body)))
	}
	for _, path := range []string{"/v1/stream/instances", "/v1/stream/tasks"} { // endless for GET
		answer, body := c.do(http.MethodHead, path)
		assert.Equal(t, http.StatusOK, answer.StatusCode, path)
		answered = append(answered, c.spec.CheckResponse(t, answer, []byte(body)))
	}
	answer, body := c.do(http.MethodPost, "/v1/instances/refresh") // without the body that it needs
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
	answered = append(answered, c.spec.CheckResponse(t, answer, []byte(body)))
	assert.ElementsMatch(t, c.spec.Operations(), answered)
}
