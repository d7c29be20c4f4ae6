package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// streamClient holds the lines that a client has received: the last of each instance or environment, and all events.
type streamClient struct {
	mu           sync.Mutex
	instances    map[string]*models.EnvironmentInstance
	environments map[string]*models.OverviewLine
	events       map[string]*models.Event
	readiness    *models.Readiness
	counts       *models.InstanceCounts
	states       []models.StreamState
	lines        int // of instances
	err          string
	ended        bool
	answer       *http.Response
}

// openStream reads a stream until the test ends. It checks every line against the specification.
func (d *scheduler) openStream(path string) *streamClient {
	d.t.Helper()
	f := &streamClient{
		instances: map[string]*models.EnvironmentInstance{}, environments: map[string]*models.OverviewLine{},
		events: map[string]*models.Event{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, nil)
	require.NoError(d.t, err)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	f.answer, err = client.Do(request)
	require.NoError(d.t, err)
	definition := "OverviewLine"
	if path != "/v1/stream/overview" && path != "/v1/stream/overview?heartbeat=1" {
		definition = "InstanceLine"
	}
	spec, err := apiSpec()
	require.NoError(d.t, err)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer f.answer.Body.Close()
		lines := bufio.NewScanner(f.answer.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			specMu.Lock()
			spec.CheckDefinition(d.t, definition, lines.Bytes())
			specMu.Unlock()
			f.apply(d.t, lines.Bytes())
		}
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
	})
	d.t.Cleanup(func() { cancel(); reading.Wait() })
	return f
}

func (f *streamClient) apply(t testing.TB, text []byte) {
	var line struct {
		models.OverviewLine
		Instance *models.EnvironmentInstance
		Counts   *models.InstanceCounts
	}
	if !assert.NoError(t, json.Unmarshal(text, &line)) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case line.Instance != nil:
		f.lines++
		f.instances[*line.Instance.ContainerInstance] = line.Instance
	case line.Environment != nil:
		f.environments[*line.Environment.Name] = &line.OverviewLine
	case line.Deleted != "":
		delete(f.instances, line.Deleted)
		delete(f.environments, line.Deleted)
	case line.Event != nil:
		f.events[*line.Event.ID] = line.Event
	case line.Readiness != nil:
		f.readiness = line.Readiness
	case line.Counts != nil:
		f.counts = line.Counts
	case line.Metadata != nil:
		f.states = append(f.states, *line.Metadata)
	case line.Error != "":
		f.err = line.Error
	}
}

// received returns what has been received so far. Streams go on, so that tests must not read the fields themselves.
func (f *streamClient) received() (
	lines int, instances map[string]models.EnvironmentInstance, states []models.StreamState,
) {
	f.mu.Lock()
	defer f.mu.Unlock()
	instances = map[string]models.EnvironmentInstance{}
	for arn, i := range f.instances {
		instances[arn] = *i
	}
	return f.lines, instances, slices.Clone(f.states)
}

// error returns the error that ended the stream; empty if none has.
func (f *streamClient) error() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// await waits until the condition on the received lines holds.
func (f *streamClient) await(t testing.TB, condition func() bool, message ...any) {
	t.Helper()
	testenv.Eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return condition() }, message...)
}

// awaitList waits until the stream and the list hold the same instances.
func (f *streamClient) awaitList(d *scheduler, name string) {
	d.t.Helper()
	f.await(d.t, func() bool {
		var list models.EnvironmentInstances
		d.mustSend("GET", "/v1/environments/"+name+"/instances", "", &list)
		listed := map[string]*models.EnvironmentInstance{}
		for _, i := range list.Items {
			listed[*i.ContainerInstance] = i
		}
		return assert.ObjectsAreEqual(listed, f.instances)
	}, "the stream and the list of the instances differ")
}

func TestStream_SendsInstancesFromEveryReplica(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 30)
	css, _ := w.startCSS("127.0.0.1:0")
	one, other := w.startScheduler(css), w.startScheduler(css)
	one.awaitReady()
	other.awaitReady()
	id := one.deploy(one.createEnvironment("logs"))
	replicas := []*scheduler{one, other}
	var streams []*streamClient
	for _, d := range replicas {
		streams = append(streams, d.openStream("/v1/stream/environments/logs/instances"),
			d.openStream("/v1/stream/environments/logs/instances?heartbeat=1"))
	}
	awaitLists := func() {
		t.Helper()
		for n, f := range streams {
			f.awaitList(replicas[n/2], "logs")
		}
	}
	one.awaitCompleted("logs", id)
	awaitLists()
	for _, f := range streams {
		f.await(t, func() bool { return len(f.states) > 0 && *f.states[0].Current && *f.states[0].Count == 30 })
	}
	before, _, _ := streams[0].received()
	joined := w.sim.AddInstances("prod", 1)[0]
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	w.awaitOneTaskEach(id, append(instances[1:], joined)...)
	awaitLists()
	lines, _, _ := streams[0].received()
	assert.Less(t, lines-before, 10, "only changed instances are sent")

	streams[1].await(t, func() bool { return len(streams[1].states) > 2 }, "no heartbeat")
	one.mustSend("DELETE", "/v1/environments/logs", "", nil)
	for _, f := range streams {
		f.await(t, func() bool { return f.ended && f.err == "Environment logs does not exist" })
	}
}

func TestStream_SendsOverviewAndEventsFromEveryReplica(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 4)
	css, _ := w.startCSS("127.0.0.1:0")
	one, other := w.startScheduler(css), w.startScheduler(css)
	one.awaitReady()
	other.awaitReady()
	streams := []*streamClient{one.openStream("/v1/stream/overview"), other.openStream("/v1/stream/overview?heartbeat=1")}
	one.createEnvironment("metrics")
	id := other.deploy(other.createEnvironment("logs"))
	replicas := map[string]bool{}
	for _, f := range streams {
		f.await(t, func() bool {
			e := f.environments["logs"]
			return e != nil && e.Environment.RunningCount != nil && *e.Environment.RunningCount == 4 &&
				e.Deployment.RolloutState == "COMPLETED" &&
				f.environments["metrics"] != nil && f.environments["metrics"].Deployment == nil
		})
		f.await(t, func() bool {
			counts := map[string]int64{}
			for _, d := range f.events {
				if *d.Environment == "logs" && d.Deployment == id {
					counts[*d.Action] += *d.Count
				}
			}
			return assert.ObjectsAreEqual(map[string]int64{
				"deploymentCreated": 0, "deploymentStarted": 0, "taskStarted": 4, "deploymentCompleted": 0,
			}, counts)
		})
		f.await(t, func() bool {
			if f.readiness == nil || !*f.readiness.Ready || *f.readiness.Leader == "" {
				return false
			}
			replicas[f.readiness.Replica] = true
			return true
		})
	}
	assert.Len(t, replicas, 2, "each stream names its replica")

	for _, d := range []*scheduler{one, other} {
		var list models.Events
		d.mustSend("GET", "/v1/events?environment=logs", "", &list)
		require.Len(t, list.Items, 5)
		assert.Equal(t, "deploymentCompleted", *list.Items[0].Action, "newest first")
		d.mustSend("GET", "/v1/events?limit=1", "", &list)
		assert.Len(t, list.Items, 1)
		d.mustSend("GET", "/v1/events?environment=metrics", "", &list)
		require.Len(t, list.Items, 1)
		assert.Equal(t, "environmentCreated", *list.Items[0].Action)
		for query, text := range map[string]string{
			"limit=0":           "Invalid limit \"0\": must be 1 to 1000\n",
			"limit=1001":        "Invalid limit \"1001\": must be 1 to 1000\n",
			"limit=x":           "Invalid limit \"x\": must be 1 to 1000\n",
			"environment=a%2Fb": "Invalid environment \"a/b\": must be 1 to 30 letters, digits, hyphens and underscores\n",
		} {
			answer, body := d.sendValid("GET", "/v1/events?"+query, "")
			assert.Equal(t, http.StatusBadRequest, answer.StatusCode, query)
			assert.Equal(t, text, body)
		}
		for path, status := range map[string]int{
			"/v1/stream/overview?heartbeat=0": 400, "/v1/stream/environments/logs/instances?heartbeat=301": 400,
			"/v1/stream/environments/logs/instances?groupBy=zone": 400, "/v1/environments/logs/instances?groupBy=zone": 400,
			"/v1/stream/environments/absent/instances": 404,
		} {
			answer, _ := d.sendValid("GET", path, "")
			assert.Equal(t, status, answer.StatusCode, path)
		}
	}
	other.mustSend("DELETE", "/v1/environments/metrics", "", nil)
	for _, f := range streams {
		f.await(t, func() bool { return f.environments["metrics"] == nil })
		f.await(t, func() bool {
			for _, d := range f.events {
				if *d.Environment == "metrics" && *d.Action == "environmentDeleted" {
					return true
				}
			}
			return false
		})
	}

	// A scheduler at rest writes nothing to etcd.
	before, err := w.client.Get(t.Context(), "ecs/", nil...)
	require.NoError(t, err)
	_, _, states := streams[1].received()
	streams[1].await(t, func() bool { return len(streams[1].states) > len(states)+2 }) // a heartbeat a second
	after, err := w.client.Get(t.Context(), "ecs/", nil...)
	require.NoError(t, err)
	assert.Equal(t, before.Header.Revision, after.Header.Revision)
}

// A client that has just created an environment can stream it from any replica, even if that replica's cache lags.
func TestStream_SendsNewEnvironmentAtOnce(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 2)
	css, _ := w.startCSS("127.0.0.1:0")
	one, other := w.startScheduler(css), w.startScheduler(css)
	one.awaitReady()
	other.awaitReady()
	for n := range 20 {
		name := fmt.Sprint("logs-", n)
		one.createEnvironment(name)
		f := other.openStream("/v1/stream/environments/" + name + "/instances")
		f.await(t, func() bool { return len(f.states) > 0 && *f.states[len(f.states)-1].Current || f.ended })
		require.Empty(t, f.error())
		_, instances, _ := f.received()
		assert.Len(t, instances, 2)
	}

	// A new environment with the name of a deleted one can be streamed although the cache may still hold the deletion.
	one.mustSend("DELETE", "/v1/environments/logs-0", "", nil)
	one.createEnvironment("logs-0")
	testenv.Eventually(t, func() bool {
		f := one.openStream("/v1/stream/environments/logs-0/instances")
		f.await(t, func() bool { return len(f.states) > 0 || f.ended })
		return f.error() == ""
	})
}

// The overview contains neither deployment tokens nor task settings, because anyone with read access may open it.
func TestStream_OverviewHidesTokensAndTaskSettings(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startServices()
	d.awaitReady()
	var e models.Environment
	d.mustSend("POST", "/v1/environments", `{"name":"logs","instanceGroup":{"cluster":"prod"},`+
		`"taskDefinition":"agent","taskSettings":{"group":"secret-group"}}`, &e)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/v1/stream/overview?heartbeat=1", nil)
	require.NoError(t, err)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	lines, found := bufio.NewScanner(answer.Body), false
	for !found && lines.Scan() {
		assert.NotContains(t, lines.Text(), e.DeploymentToken)
		assert.NotContains(t, lines.Text(), "secret-group")
		found = strings.Contains(lines.Text(), `"name":"logs"`)
	}
	assert.True(t, found)
}
