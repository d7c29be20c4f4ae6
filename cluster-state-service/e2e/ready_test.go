package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// With a wrong name, the service would show an ever older state.
func TestReady_ReportsAQueueThatDoesNotExist(t *testing.T) {
	for queue, want := range map[string]string{
		"no_such_queue":            "NonExistentQueue",
		"kinesis://no_such_stream": "ResourceNotFoundException",
	} {
		t.Run(queue, func(t *testing.T) {
			w := newSystem(t, ecssim.Config{})
			c := w.run(testenv.FreeAddress(t), queue)
			testenv.Eventually(t, func() bool {
				answer, body := c.get("/v1/ready")
				return answer.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, want)
			}, "the service does not report the queue")
			_, metrics := c.do(http.MethodGet, "/metrics")
			assert.NotContains(t, metrics, "blox_css_ingest_unreadable_seconds 0\n")
		})
	}
}

// A queue that appears later makes the service ready.
func TestReady_FollowsTheQueue(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	w.sim.SetDown("sqs", true)
	c := w.run(testenv.FreeAddress(t), "blox_queue", "--pollers", "1") // no other poller may hide that one ended
	testenv.Eventually(t, func() bool {
		_, body := c.get("/v1/ready")
		return strings.Contains(body, "the queue could not be read yet")
	}, "the service does not report the queue")
	w.sim.SetDown("sqs", false)
	w.sendMessage(string(testenv.Event(t, "task-ec2-running.json"))) // ends a long poll
	c.ready()
}
