package probe_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/probe"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/testenv"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// blox runs both services on a simulated ECS with three instances in the cluster prod.
type blox struct {
	t               *testing.T
	sim             *ecssim.Sim
	stopCSS, stopDS func()
	probe           probe.Config
	cssAt, dsAt     string
}

func newBlox(t *testing.T) *blox {
	t.Helper()
	b := &blox{t: t, sim: ecssim.New(ecssim.Config{}), cssAt: testenv.FreeAddress(t), dsAt: testenv.FreeAddress(t)}
	aws := httptest.NewServer(b.sim)
	t.Cleanup(func() { b.sim.Close(); aws.Close() })
	b.sim.AddInstances("prod", 3)
	b.sim.RegisterTaskDefinition("probe", ecssim.WithCPU(64), ecssim.WithMemory(64))
	environment := map[string]string{"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": aws.URL, "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test"}
	getenv := func(name string) string { return environment[name] }
	etcd := testenv.EtcdServer(t).Endpoints()[0]
	log := testenv.Logger(t)
	log.SetLevel(logrus.ErrorLevel)

	css, err := clusterstate.ParseConfig([]string{"--etcd-endpoint", etcd, "--queue", "blox_queue"}, getenv, io.Discard)
	require.NoError(t, err)
	css.Listener = b.listen(b.cssAt)
	b.stopCSS = b.run(func(ctx context.Context) error { return clusterstate.Run(ctx, css, log) })
	args := []string{"--etcd-endpoint", etcd, "--css-endpoint", b.cssAt, "--leader-lease", "2s"}
	scheduler, err := daemonscheduler.ParseConfig(args, getenv, io.Discard)
	require.NoError(t, err)
	scheduler.Listener = b.listen(b.dsAt)
	b.stopDS = b.run(func(ctx context.Context) error { return daemonscheduler.Run(ctx, scheduler, log) })

	clients, err := connect.Open(t.Context(), connect.Config{
		Endpoint: b.dsAt, CSSEndpoint: b.cssAt, SimEndpoint: connect.DefaultSimEndpoint, Timeout: 10 * time.Second,
	}, getenv)
	require.NoError(t, err)
	t.Cleanup(clients.Close)
	b.probe = probe.Config{Clients: clients, Name: "probe", Cluster: "prod", TaskDefinition: "probe:1",
		StepTimeout: 30 * time.Second, StreamDelay: 30 * time.Second}
	testenv.Eventually(t, func() bool {
		_, err := clients.Scheduler.ReadyContext(t.Context(), ds.NewReadyParams())
		return err == nil
	})
	return b
}

func (b *blox) listen(address string) net.Listener {
	b.t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(b.t, err)
	return listener
}

func (b *blox) run(service func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(b.t, service(ctx)) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	b.t.Cleanup(stop)
	return stop
}

// check runs the probe once.
func (b *blox) check() probe.Report {
	b.t.Helper()
	report, err := probe.Run(b.t.Context(), b.probe)
	require.NoError(b.t, err)
	return report
}

func stepNames(r probe.Report) (names []string) {
	for _, s := range r.Steps {
		names = append(names, s.Name)
	}
	return names
}

// fails runs the probe once, requires that exactly the given step fails, and returns its error.
func (b *blox) fails(step string) string {
	b.t.Helper()
	report := b.check()
	require.Len(b.t, report.Failed(), 1, "%+v", report)
	assert.Equal(b.t, step, report.Failed()[0].Name)
	assert.False(b.t, report.Healthy)
	return report.Failed()[0].Error
}

func (b *blox) live() (n int) {
	for _, task := range b.sim.Tasks("prod") {
		if task.Live() {
			n++
		}
	}
	return n
}

// awaitClean waits until neither an environment nor a live task exists.
func (b *blox) awaitClean() {
	b.t.Helper()
	testenv.Eventually(b.t, func() bool {
		list, err := b.probe.Clients.Scheduler.ListEnvironmentsContext(b.t.Context(), ds.NewListEnvironmentsParams())
		return err == nil && len(list.Payload.Items) == 0 && b.live() == 0
	}, "an environment or a task remains")
}

func TestProbe_SucceedsOnHealthyServices(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	metrics := probe.NewMetrics(prometheus.NewRegistry(), false)
	for range 2 {
		report := b.check()
		assert.Empty(t, report.Failed())
		assert.True(t, report.Healthy)
		assert.Equal(t, probe.Steps(false), stepNames(report))
		metrics.Observe(report)
	}
	assert.Len(t, b.sim.Tasks("prod"), 6, "a task on each instance in each run")
	assert.Zero(t, b.live())
}

func TestProbe_ReadOnlyStartsNothing(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.probe.ReadOnly, b.probe.Cluster, b.probe.TaskDefinition = true, "", ""
	report := b.check()
	assert.Empty(t, report.Failed())
	assert.Equal(t, probe.Steps(true), stepNames(report))
	assert.Empty(t, b.sim.Tasks("prod"))
}

func TestProbe_ReportsEachServiceThatIsDown(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.stopCSS()
	assert.Contains(t, b.fails(probe.CSSPing), "no connection to cluster-state-service")
	b.stopDS()
	report := b.check()
	assert.Equal(t, []string{probe.CSSPing, probe.DSPing}, stepNames(report), "the services are checked independently")
	assert.Len(t, report.Failed(), 2)
}

func TestProbe_CleansUpAfterFailedStarts(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.sim.SetFaults(ecssim.Faults{StartFailures: 1, StartFailureReason: "RESOURCE:MEMORY"})
	assert.Contains(t, b.fails(probe.AwaitRunning), "RESOURCE:MEMORY")
	b.awaitClean()
	b.sim.SetFaults(ecssim.Faults{})
	assert.True(t, b.check().Healthy)

	b.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"probe": 1}})
	b.fails(probe.AwaitRunning)
	b.awaitClean()

	b.probe.Query = "attribute:absent exists"
	b.sim.SetFaults(ecssim.Faults{})
	assert.Contains(t, b.fails(probe.AwaitRunning), "no instance")
	b.awaitClean()
}

func TestProbe_FailsWithoutEvents(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.probe.StepTimeout = 2 * time.Second
	b.sim.SetDown("sqs", true)
	b.fails(probe.AwaitRunning)
	b.sim.SetDown("sqs", false)
	b.awaitClean()
}

func TestProbe_CleansUpAfterInterruption(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.sim.SetFaults(ecssim.Faults{StartFailures: 1})
	b.probe.StepTimeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		_, err := probe.Run(ctx, b.probe)
		assert.ErrorIs(t, err, context.Canceled)
	})
	testenv.Eventually(t, func() bool { return b.sim.Calls("StartTask") > 0 })
	cancel()
	running.Wait()
	b.awaitClean()
}

func TestProbe_DeletesOnlyItsOwnLeftovers(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	name, cluster, definition := "probe", "prod", "probe:1"
	create := func(settings *models.TaskSettings) {
		params := ds.NewCreateEnvironmentParams().WithBody(&models.CreateEnvironmentRequest{
			Name: &name, InstanceGroup: &models.InstanceGroup{Cluster: cluster}, TaskDefinition: &definition,
			TaskSettings: settings,
		})
		made, err := b.probe.Clients.Scheduler.CreateEnvironmentContext(t.Context(), params)
		require.NoError(t, err)
		_, err = b.probe.Clients.Scheduler.CreateDeploymentContext(t.Context(),
			ds.NewCreateDeploymentParams().WithName(name).WithDeploymentToken(made.Payload.DeploymentToken))
		require.NoError(t, err)
		testenv.Eventually(t, func() bool { return b.live() == 3 })
	}
	create(&models.TaskSettings{Group: "blox-probe"})
	assert.True(t, b.check().Healthy)
	b.awaitClean()

	create(nil)
	assert.Contains(t, b.fails(probe.Cleanup), "does not belong to the probe")
	assert.Equal(t, 3, b.live())
}

func TestMetrics_HaveEveryStepFromTheStart(t *testing.T) {
	registry := prometheus.NewRegistry()
	shown := func() string {
		answer := httptest.NewRecorder()
		httpserver.MetricsHandler(registry).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
		return answer.Body.String()
	}
	metrics := probe.NewMetrics(registry, true)
	for _, step := range probe.Steps(true) {
		assert.Contains(t, shown(), `blox_probe_step_failures_total{step="`+step+`"} 0`, "every series exists from the start")
	}
	metrics.Observe(probe.Report{StartedAt: time.Unix(1000, 0), Seconds: 2, Healthy: true,
		Steps: []probe.Step{{Name: probe.CSSPing}}})
	metrics.Observe(probe.Report{StartedAt: time.Unix(2000, 0),
		Steps: []probe.Step{{Name: probe.CSSPing, Error: "no answer"}}})
	for _, line := range []string{
		"blox_probe_last_success_timestamp_seconds 1002", `blox_probe_runs_total{outcome="failed"} 1`,
		`blox_probe_runs_total{outcome="succeeded"} 1`,
		`blox_probe_step_failures_total{step="css_ping"} 1`, `blox_probe_step_duration_seconds_count{step="css_ping"} 1`,
	} {
		assert.Contains(t, shown(), line+"\n")
	}
}

// Another probe with the same name creates its environment a moment earlier and keeps it.
func TestProbe_KeepsAnEnvironmentCreatedByAnotherProbe(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	to, err := url.Parse("http://" + b.dsAt)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{DisableKeepAlives: true}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/v1/environments" {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			first := r.Clone(r.Context())
			first.Header.Set("Idempotency-Key", "of the other probe")
			first.Body, r.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
			proxy.ServeHTTP(httptest.NewRecorder(), first)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	own := b.probe.Clients
	clients, err := connect.Open(t.Context(), connect.Config{
		Endpoint: front.URL, CSSEndpoint: b.cssAt, SimEndpoint: connect.DefaultSimEndpoint, Timeout: 10 * time.Second,
	}, func(string) string { return "" })
	require.NoError(t, err)
	t.Cleanup(clients.Close)
	b.probe.Clients = clients
	assert.Contains(t, b.fails(probe.Create), "already exists")
	got, err := own.Scheduler.GetEnvironmentContext(t.Context(), ds.NewGetEnvironmentParams().WithName("probe"))
	require.NoError(t, err)
	assert.NotEqual(t, "deleting", got.Payload.Status)
}
