package e2e

import (
	"bufio"
	"context"
	stdjson "encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// streamEnvironments opens the stream of environments and returns its lines.
func (d *scheduler) streamEnvironments(query string) <-chan string {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, "GET", d.url+"/v1/stream/environments"+query, nil)
	require.NoError(d.t, err)
	client := http.Client{Transport: &http.Transport{}}
	answer, err := client.Do(request)
	require.NoError(d.t, err)
	assert.Equal(d.t, http.StatusOK, answer.StatusCode)
	assert.Equal(d.t, "application/octet-stream", answer.Header.Get("Content-Type"))
	lines, ended := make(chan string, 1000), make(chan struct{})
	go func() {
		defer close(ended)
		for scanner := bufio.NewScanner(answer.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	d.t.Cleanup(func() { cancel(); <-ended; answer.Body.Close(); client.CloseIdleConnections() })
	return lines
}

func TestStream_SendsEnvironments(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startScheduler(unusedAddress)
	testenv.Eventually(t, func() bool {
		answer, _ := d.send("HEAD", "/v1/stream/environments", "")
		return answer.StatusCode == 200
	})
	all, heartbeats, otherCluster := d.streamEnvironments("?deleted=true"), d.streamEnvironments("?heartbeat=1"),
		d.streamEnvironments("?cluster=elsewhere&deleted=true")
	created := d.createEnvironment("logs")
	spec, err := apiSpec()
	require.NoError(t, err)
	next := func(lines <-chan string) (e models.Environment) {
		t.Helper()
		select {
		case line := <-lines:
			require.NoError(t, stdjson.Unmarshal([]byte(line), &e))
		case <-time.After(requestTimeout):
			require.Fail(t, "no line")
		}
		return e
	}
	line := next(all)
	assert.NotEmpty(t, *line.Metadata.EntityVersion)
	line.Metadata = nil
	assert.Equal(t, created, line, "a line equals GET's response")
	text, err := stdjson.Marshal(line)
	require.NoError(t, err)
	specMu.Lock()
	spec.CheckDefinition(t, "Environment", text)
	specMu.Unlock()

	d.mustSend("POST", "/v1/environments/logs/pause", "", nil)
	assert.Equal(t, "paused", next(all).Status)
	d.mustSend("DELETE", "/v1/environments/logs", "", nil)
	deleted := next(all)
	assert.True(t, deleted.Metadata.Deleted)
	assert.Equal(t, "logs", *deleted.Name)

	for changes := 0; changes < 2; {
		if line := next(heartbeats); line.Name != nil { // a heartbeat may come first
			assert.Equal(t, "logs", *line.Name)
			changes++
		}
	}
	heartbeat := next(heartbeats)
	assert.Nil(t, heartbeat.Name, "deletions are sent only with deleted=true")
	assert.NotEmpty(t, *heartbeat.Metadata.EntityVersion)
	assert.Empty(t, otherCluster)
	for _, query := range []string{"?deleted=yes", "?heartbeat=0", "?heartbeat=301", "?heartbeat=x", "?cluster=!"} {
		answer, _ := d.sendValid("GET", "/v1/stream/environments"+query, "")
		assert.Equal(t, 400, answer.StatusCode, query)
	}
}
