package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// waitFor sends a list request in the background. It returns when the request waits.
func (c *css) waitFor(path string) <-chan string {
	c.t.Helper()
	responses := make(chan string, 1)
	go func() {
		_, body := c.get(path)
		responses <- body
	}()
	c.awaitWaitingLists(1)
	return responses
}

// awaitWaitingLists waits until n lists wait for a change.
func (c *css) awaitWaitingLists(n int) {
	c.t.Helper()
	testenv.Eventually(c.t, func() bool {
		_, body := c.do(http.MethodGet, "/metrics")
		return strings.Contains(body, fmt.Sprintf("blox_css_waiting_lists %d\n", n))
	}, "not %d lists wait", n)
}

// versionOf returns the version that a list shows.
func versionOf(t *testing.T, body string) string {
	t.Helper()
	var list struct {
		Metadata struct{ EntityVersion string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &list), body)
	return list.Metadata.EntityVersion
}

func TestLongPoll_AnswersAtTheNextChangeOfTheList(t *testing.T) {
	c := newStockedService(t)
	_, list := c.get("/v1/tasks?status=running&cluster=prod")
	waiting := c.waitFor("/v1/tasks?status=running&cluster=prod&wait=5m&entityVersion=" + versionOf(t, list))
	c.putRecord("ecs/task/default/"+shortTask,
		string(testenv.Event(t, "task-short-arn-2017.json", "us-east-1", "eu-west-1"))) // of another cluster
	c.putRecord("ecs/instance/prod/"+instance, string(testenv.Event(t, "instance-draining.json")))
	c.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	assert.Equal(t, []string{fargateTask}, arns(t, <-waiting), "the task has left the list")

	_, body := c.get("/v1/tasks?wait=5m&entityVersion=" + versionOf(t, list))
	assert.Len(t, arns(t, body), 3, "a list that has changed already does not wait")
	_, body = c.get("/v1/tasks?status=pending&wait=1s&entityVersion=" + versionOf(t, body))
	assert.Empty(t, arns(t, body), "without a change, the list comes at the end of the wait")
}

// A service that stops answers the requests that wait.
func TestLongPoll_EndsWhenTheServiceStops(t *testing.T) {
	c := newStockedService(t)
	_, list := c.get("/v1/tasks")
	waiting := c.waitFor("/v1/tasks?wait=5m&entityVersion=" + versionOf(t, list))
	c.stop()
	assert.Equal(t, arns(t, list), arns(t, <-waiting))
}

// Clients that vanish, or do not read, occupy none of the places of those that wait.
func TestLongPoll_ReleasesVanishedAndStalledClients(t *testing.T) {
	c := newStockedService(t)
	_, list := c.get("/v1/tasks")
	request := "GET /v1/tasks?wait=5m&entityVersion=" + versionOf(t, list) + " HTTP/1.1\r\nHost: blox\r\n\r\n"
	const clients = 50
	var vanishing []*net.TCPConn
	for n := range 2 * clients {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		if n < clients { // the others never read
			vanishing = append(vanishing, conn.(*net.TCPConn))
		}
	}
	c.awaitWaitingLists(2 * clients)
	vanish(t, vanishing)
	c.awaitWaitingLists(clients)
	c.putRecord("ecs/task/prod/"+runningTask, string(testenv.Event(t, "task-ec2-stopped.json")))
	c.awaitWaitingLists(0)
	answer, _ := c.get("/v1/tasks")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
}
