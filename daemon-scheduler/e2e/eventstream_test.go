package e2e

import (
	"bufio"
	"context"
	stdjson "encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// eventLine is a line of the stream of events.
type eventLine struct {
	models.Event
	Error string
}

// readEvents opens the stream of events and passes each line to handle until that returns false.
func (d *scheduler) readEvents(query url.Values, handle func(eventLine) bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", d.url+"/v1/stream/events?"+query.Encode(), nil)
	require.NoError(d.t, err)
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	require.NoError(d.t, err)
	defer answer.Body.Close()
	require.Equal(d.t, http.StatusOK, answer.StatusCode)
	for scanner := bufio.NewScanner(answer.Body); scanner.Scan(); {
		var line eventLine
		require.NoError(d.t, stdjson.Unmarshal(scanner.Bytes(), &line))
		require.Empty(d.t, line.Error)
		if !handle(line) {
			return
		}
	}
	require.Fail(d.t, "the stream has ended")
}

// A client reconnects after every line, to the two replicas in turn, while events are written. It gets each once.
func TestEvents_StreamResumesAtAnyReplica(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 1)
	css, _ := w.startCSS("127.0.0.1:0")
	one, other := w.startScheduler(css), w.startScheduler(css)
	one.awaitReady()
	other.awaitReady()
	one.createEnvironment("metrics")
	one.createEnvironment("logs")
	var list models.Events
	testenv.Eventually(t, func() bool {
		one.mustSend("GET", "/v1/events?environment=logs", "", &list)
		return len(list.Items) == 1
	})
	version := *list.Metadata.EntityVersion
	const changes = 10
	for n := range changes {
		action := []string{"pause", "resume"}[n%2]
		[]*scheduler{one, other}[n/2%2].mustSend("POST", "/v1/environments/logs/"+action, "", nil)
		one.mustSend("POST", "/v1/environments/metrics/"+action, "", nil)
	}
	var ids []string
	for n := 0; len(ids) < changes; n++ {
		query := url.Values{"environment": {"logs"}, "entityVersion": {version}, "heartbeat": {"1"}}
		[]*scheduler{one, other}[n%2].readEvents(query, func(line eventLine) bool {
			version = *line.Metadata.EntityVersion
			if line.ID == nil { // a heartbeat
				return true
			}
			assert.Equal(t, "logs", *line.Environment)
			ids = append(ids, *line.ID)
			return false
		})
	}
	one.mustSend("GET", "/v1/events?environment=logs&action=environmentPaused,environmentResumed&actor=127.*", "", &list)
	var want []string
	for _, e := range list.Items {
		want = append(want, *e.ID)
	}
	slices.Sort(want)
	slices.Sort(ids)
	assert.Equal(t, want, ids)

	var backlog []string
	other.readEvents(url.Values{"environment": {"logs"}, "since": {"2020-01-01T00:00:00Z"}}, func(line eventLine) bool {
		backlog = append(backlog, *line.Action)
		return len(backlog) <= changes
	})
	assert.Equal(t, "environmentCreated", backlog[0])
	for query, status := range map[string]int{
		"entityVersion=1": 400, "entityVersion=0.0": 200, "until=2026-01-31T13:00:00Z": 400, "limit=1": 400,
		"heartbeat=0": 400, "action=x": 400, "cluster=prod": 200, "cluster=!": 400, "entityVersion=99999999.0": 400,
	} {
		answer, body := other.send("HEAD", "/v1/stream/events?"+query, "")
		assert.Equal(t, status, answer.StatusCode, query, body)
	}
}

func TestEvents_PagesAreComplete(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	const count = 12
	for n := range count {
		testenv.Eventually(t, func() bool {
			answer, _ := d.send("GET", "/v1/environments", "")
			return answer.StatusCode == 200
		})
		d.createEnvironment(fmt.Sprint("logs-", n))
	}
	testenv.Eventually(t, func() bool {
		var list models.Events
		d.mustSend("GET", "/v1/events", "", &list)
		return len(list.Items) == count
	})
	var names []string
	for token := ""; ; {
		var page models.Events
		d.mustSend("GET", "/v1/events?cluster=prod&limit=5&nextToken="+token, "", &page)
		for _, e := range page.Items {
			names = append(names, *e.Environment)
		}
		if token = page.NextToken; token == "" {
			break
		}
		answer, body := d.sendValid("GET", "/v1/events?limit=5&nextToken="+token, "")
		assert.Equal(t, 400, answer.StatusCode)
		assert.Contains(t, body, "must be the nextToken of a response to the same filters")
	}
	assert.Len(t, names, count)
	slices.Sort(names)
	assert.Len(t, slices.Compact(names), count)
}

// The events of tasks that fail and are replaced name the tasks and the reasons.
func TestEvents_ReportFailedAndReplacedTasks(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 1)
	d := w.startServices()
	first := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", first)
	failed := w.sim.Tasks("prod")[0]
	require.NoError(t, w.sim.KillTask(failed.ARN, 3))
	events := func(query string) []*models.Event {
		var list models.Events
		d.mustSend("GET", "/v1/events?environment=logs&"+query, "", &list)
		return list.Items
	}
	testenv.Eventually(t, func() bool {
		return len(events("action=taskFailed")) == 1 && len(events("action=taskReplaced")) == 1
	})
	died := events("action=taskFailed")[0]
	assert.Equal(t, failed.ARN, died.Instances[0].Task)
	assert.Contains(t, died.Detail, "exited with code 3")
	assert.Equal(t, prod, died.Cluster)
	replaced := events("action=taskReplaced&deployment=" + first)[0]
	assert.Equal(t, failed.ARN, replaced.Instances[0].ReplacedTask)
	assert.NotEqual(t, failed.ARN, replaced.Instances[0].Task)

	w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	d.patch("logs", `{"taskDefinition":"agent:2"}`)
	second := d.deploy(d.getEnvironment("logs"))
	d.awaitCompleted("logs", second)
	testenv.Eventually(t, func() bool { return len(events("action=taskReplaced&deployment="+second)) == 1 })
	var changes []string
	for _, c := range events("action=deploymentCreated&deployment=" + second)[0].Changes {
		changes = append(changes, *c.Field+" "+c.Before+">"+c.After)
	}
	assert.Equal(t, []string{"status active>deploying", "revision 1>2", "taskDefinition " + w.agent + ">" +
		w.agent[:len(w.agent)-1] + "2"}, changes)
}
