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

// blox is both services on a simulated ECS with three instances in the cluster prod.
type blox struct {
	t               *testing.T
	sim             *ecssim.Sim
	stopCSS, stopDS func()
	canary          probe.Config
	cssAt, dsAt     string
}

func newBlox(t *testing.T) *blox {
	t.Helper()
	b := &blox{t: t, sim: ecssim.New(ecssim.Config{}), cssAt: testenv.Address(t), dsAt: testenv.Address(t)}
	aws := httptest.NewServer(b.sim)
	t.Cleanup(func() { b.sim.Close(); aws.Close() })
	b.sim.AddInstances("prod", 3)
	b.sim.RegisterTaskDefinition("canary", ecssim.WithCPU(64), ecssim.WithMemory(64))
	environment := map[string]string{"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": aws.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
	getenv := func(name string) string { return environment[name] }
	etcd := testenv.EtcdServer(t).Endpoints()[0]
	log := testenv.Logger(t)
	log.SetLevel(logrus.ErrorLevel)

	css, err := clusterstate.ParseConfig([]string{"--etcd-endpoint", etcd, "--queue", "blox_queue"}, getenv, io.Discard)
	require.NoError(t, err)
	css.Listener = b.listen(b.cssAt)
	b.stopCSS = b.run(func(ctx context.Context) error { return clusterstate.Run(ctx, css, log) })
	scheduler, err := daemonscheduler.ParseConfig([]string{"--etcd-endpoint", etcd, "--css-endpoint", b.cssAt, "--leader-lease", "2s"}, getenv, io.Discard)
	require.NoError(t, err)
	scheduler.Listener = b.listen(b.dsAt)
	b.stopDS = b.run(func(ctx context.Context) error { return daemonscheduler.Run(ctx, scheduler, log) })

	clients, err := connect.Open(t.Context(), connect.Config{
		Endpoint: b.dsAt, CSSEndpoint: b.cssAt, SimEndpoint: connect.DefaultSimEndpoint, Timeout: 10 * time.Second,
	}, getenv)
	require.NoError(t, err)
	t.Cleanup(clients.Close)
	b.canary = probe.Config{Clients: clients, Name: "canary", Cluster: "prod", TaskDefinition: "canary:1", Wait: 30 * time.Second, Freshness: 30 * time.Second}
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

// check runs the canary once.
func (b *blox) check() probe.Report {
	b.t.Helper()
	report, err := probe.Run(b.t.Context(), b.canary)
	require.NoError(b.t, err)
	return report
}

func taken(r probe.Report) (names []string) {
	for _, s := range r.Steps {
		names = append(names, s.Name)
	}
	return names
}

// fails is check for a run in which just one step is to fail; it returns what was wrong.
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

// clean waits until neither the environment nor a task is left.
func (b *blox) clean() {
	b.t.Helper()
	testenv.Eventually(b.t, func() bool {
		list, err := b.canary.Clients.Scheduler.ListEnvironmentsContext(b.t.Context(), ds.NewListEnvironmentsParams())
		return err == nil && len(list.Payload.Items) == 0 && b.live() == 0
	}, "something is left")
}

func TestAllIsWell(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	metrics := probe.NewMetrics(prometheus.NewRegistry(), false)
	for range 2 {
		report := b.check()
		assert.Empty(t, report.Failed())
		assert.True(t, report.Healthy)
		assert.Equal(t, probe.Steps(false), taken(report))
		metrics.Count(report)
	}
	assert.Len(t, b.sim.Tasks("prod"), 6, "a task on each instance in each run")
	assert.Zero(t, b.live())
}

func TestReadOnlyStartsNothing(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.canary.ReadOnly, b.canary.Cluster, b.canary.TaskDefinition = true, "", ""
	report := b.check()
	assert.Empty(t, report.Failed())
	assert.Equal(t, probe.Steps(true), taken(report))
	assert.Empty(t, b.sim.Tasks("prod"))
}

func TestWhatIsDownFails(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.stopCSS()
	assert.Contains(t, b.fails(probe.StatePing), "nothing listens where cluster-state-service")
	b.stopDS()
	report := b.check()
	assert.Equal(t, []string{probe.StatePing, probe.SchedulerPing}, taken(report), "one being down says nothing of the other")
	assert.Len(t, report.Failed(), 2)
}

func TestRefusedStartsFailAndAreCleanedUp(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.sim.SetFaults(ecssim.Faults{StartFailures: 1, StartFailureReason: "RESOURCE:MEMORY"})
	assert.Contains(t, b.fails(probe.Running), "RESOURCE:MEMORY")
	b.clean()
	b.sim.SetFaults(ecssim.Faults{})
	assert.True(t, b.check().Healthy)

	b.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"canary": 1}})
	b.fails(probe.Running)
	b.clean()

	b.canary.Query = "attribute:nobody exists"
	b.sim.SetFaults(ecssim.Faults{})
	assert.Contains(t, b.fails(probe.Running), "no instance")
	b.clean()
}

func TestEventsThatDoNotComeFail(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.canary.Wait = 2 * time.Second
	b.sim.SetDown("sqs", true)
	b.fails(probe.Running)
	b.sim.SetDown("sqs", false)
	b.clean()
}

func TestAnInterruptedRunIsCleanedUp(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	b.sim.SetFaults(ecssim.Faults{StartFailures: 1})
	b.canary.Wait = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		_, err := probe.Run(ctx, b.canary)
		assert.ErrorIs(t, err, context.Canceled)
	})
	testenv.Eventually(t, func() bool { return b.sim.Calls("StartTask") > 0 })
	cancel()
	running.Wait()
	b.clean()
}

func TestWhatWasLeftIsCleanedUpAndWhatIsOthersIsNot(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	name, cluster, definition := "canary", "prod", "canary:1"
	create := func(settings *models.TaskSettings) {
		made, err := b.canary.Clients.Scheduler.CreateEnvironmentContext(t.Context(), ds.NewCreateEnvironmentParams().WithBody(&models.CreateEnvironmentRequest{
			Name: &name, InstanceGroup: &models.InstanceGroup{Cluster: &cluster}, TaskDefinition: &definition, TaskSettings: settings,
		}))
		require.NoError(t, err)
		_, err = b.canary.Clients.Scheduler.CreateDeploymentContext(t.Context(),
			ds.NewCreateDeploymentParams().WithName(name).WithDeploymentToken(made.Payload.DeploymentToken.String()))
		require.NoError(t, err)
		testenv.Eventually(t, func() bool { return b.live() == 3 })
	}
	create(&models.TaskSettings{Group: "blox-canary"})
	assert.True(t, b.check().Healthy)
	b.clean()

	create(nil)
	assert.Contains(t, b.fails(probe.Cleanup), "is not the canary's")
	assert.Equal(t, 3, b.live())
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	shown := func() string {
		answer := httptest.NewRecorder()
		httpserver.MetricsHandler(registry).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
		return answer.Body.String()
	}
	metrics := probe.NewMetrics(registry, true)
	for _, step := range probe.Steps(true) {
		assert.Contains(t, shown(), `blox_canary_step_failures_total{step="`+step+`"} 0`, "all series are there from the start")
	}
	metrics.Count(probe.Report{StartedAt: time.Unix(1000, 0), Seconds: 2, Healthy: true, Steps: []probe.Step{{Name: probe.StatePing}}})
	metrics.Count(probe.Report{StartedAt: time.Unix(2000, 0), Steps: []probe.Step{{Name: probe.StatePing, Error: "no answer"}}})
	for _, line := range []string{
		"blox_canary_last_success_timestamp_seconds 1002", `blox_canary_runs_total{outcome="failure"} 1`, `blox_canary_runs_total{outcome="success"} 1`,
		`blox_canary_step_failures_total{step="state_ping"} 1`, `blox_canary_step_duration_seconds_count{step="state_ping"} 1`,
	} {
		assert.Contains(t, shown(), line+"\n")
	}
}

// Another canary of the same name that was a moment faster keeps its environment.
func TestAnothersEnvironmentIsNotCleanedUp(t *testing.T) {
	t.Parallel()
	b := newBlox(t)
	to, err := url.Parse("http://" + b.dsAt)
	require.NoError(t, err)
	way := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: &http.Transport{DisableKeepAlives: true}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/v1/environments" {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			first := r.Clone(r.Context())
			first.Body, r.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
			way.ServeHTTP(httptest.NewRecorder(), first)
		}
		way.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	own := b.canary.Clients
	clients, err := connect.Open(t.Context(), connect.Config{
		Endpoint: front.URL, CSSEndpoint: b.cssAt, SimEndpoint: connect.DefaultSimEndpoint, Timeout: 10 * time.Second,
	}, func(string) string { return "" })
	require.NoError(t, err)
	t.Cleanup(clients.Close)
	b.canary.Clients = clients
	assert.Contains(t, b.fails(probe.Create), "already exists")
	got, err := own.Scheduler.GetEnvironmentContext(t.Context(), ds.NewGetEnvironmentParams().WithName("canary"))
	require.NoError(t, err)
	assert.NotEqual(t, "deleting", got.Payload.Status)
}
