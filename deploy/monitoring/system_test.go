// Package monitoring contains no program. Its tests check rules, dashboards and the runbook against the metrics that
// the services export, and fire each alert with a real Prometheus.
package monitoring

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	clusterstate "github.com/blox/blox/cluster-state-service"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
)

// system is a simulated ECS with the cluster default, a real etcd, and both services.
type system struct {
	t      *testing.T
	sim    *ecssim.Sim
	aws    *httptest.Server
	etcd   *testenv.Server
	css    *service
	ds     *service
	tls    tlsconfig.Files // of cluster-state-service's client of etcd; only their expiry matters
	client *http.Client
}

// service is a service of Blox. Its address stays the same when it is started again.
type service struct {
	address  string
	registry *recorder // of the latest start
	stop     func()
}

func (s *service) url() string { return "http://" + s.address }

func newSystem(t *testing.T, etcd embedded.Options) *system {
	t.Helper()
	s := &system{
		t: t, etcd: testenv.EtcdServer(t, etcd), sim: ecssim.New(ecssim.Config{}), client: &http.Client{},
		css: &service{address: testenv.FreeAddress(t)}, ds: &service{address: testenv.FreeAddress(t)},
	}
	s.aws = httptest.NewServer(s.sim)
	t.Cleanup(func() { s.client.CloseIdleConnections(); s.sim.Close(); s.aws.Close() })
	s.sim.CreateCluster("default")
	s.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	return s
}

func (s *system) getenv(name string) string {
	return map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": s.aws.URL, "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1",
	}[name]
}

// start runs a service until the test ends or stop is called.
func (s *system) start(as *service, run func(ctx context.Context, l net.Listener, metrics *recorder) error) {
	s.t.Helper()
	var listener net.Listener
	testenv.Eventually(s.t, func() (listening bool) {
		var err error
		listener, err = net.Listen("tcp", as.address)
		return err == nil
	}, "%s is in use", as.address)
	as.registry = newRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(s.t, run(ctx, listener, as.registry)) })
	as.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	s.t.Cleanup(as.stop)
}

func (s *system) log() logrus.FieldLogger {
	log := testenv.Logger(s.t)
	log.SetLevel(logrus.ErrorLevel)
	return log
}

func (s *system) startCSS(flags ...string) {
	s.t.Helper()
	s.startCSSOf(append([]string{"--queue", "blox_queue"}, flags...)...)
}

// startCSSOf starts cluster-state-service with flags that say what it serves.
func (s *system) startCSSOf(flags ...string) {
	s.t.Helper()
	args := append([]string{"--etcd-endpoint", s.etcd.Endpoints()[0]}, flags...)
	cfg, err := clusterstate.ParseConfig(args, s.getenv, io.Discard)
	require.NoError(s.t, err)
	cfg.Etcd.TLS = s.tls // of no effect for an etcd without TLS, but the metric shows it
	s.start(s.css, func(ctx context.Context, l net.Listener, metrics *recorder) error {
		cfg.Listener, cfg.Metrics = l, metrics
		if cfg.Access.File != "" { // Prometheus has no credentials
			cfg.Bind, cfg.Listener, cfg.ReadOnly = "127.0.0.1:0", nil, l
		}
		return clusterstate.Run(ctx, cfg, s.log())
	})
}

func (s *system) startDS(flags ...string) {
	s.t.Helper()
	args := append([]string{
		"--etcd-endpoint", s.etcd.Endpoints()[0], "--css-endpoint", s.css.address,
	}, flags...)
	cfg, err := daemonscheduler.ParseConfig(args, s.getenv, io.Discard)
	require.NoError(s.t, err)
	s.start(s.ds, func(ctx context.Context, l net.Listener, metrics *recorder) error {
		cfg.Listener, cfg.Metrics = l, metrics
		return daemonscheduler.Run(ctx, cfg, s.log())
	})
}

// awaitAnswer waits until the service answers requests.
func (s *system) awaitAnswer(of *service) {
	s.t.Helper()
	testenv.Eventually(s.t, func() bool {
		request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, of.url()+"/v1/ping", nil)
		require.NoError(s.t, err)
		answer, err := s.client.Do(request)
		if err == nil {
			answer.Body.Close()
		}
		return err == nil
	}, "%s does not answer", of.address)
}

// send sends a request to daemon-scheduler and decodes its answer into v unless that is nil.
func (s *system) send(method, path, body string, v any) (status int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.ds.url()+path, strings.NewReader(body))
	require.NoError(s.t, err)
	answer, err := s.client.Do(request)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	if v != nil {
		require.Equal(s.t, http.StatusOK, answer.StatusCode, "%s", read)
		require.NoError(s.t, json.Unmarshal(read, v))
	}
	return answer.StatusCode
}

// deployment is what the tests read of an environment or deployment.
type deployment struct {
	ID              string `json:"id"`
	Status          string `json:"status"`
	DeploymentToken string `json:"deploymentToken"`
	Health          string `json:"health"`
}

// deploy creates the environment logs of the agent and deploys it. It returns the deployment's id.
func (s *system) deploy() (id string) {
	s.t.Helper()
	testenv.Eventually(s.t, func() bool { return s.send(http.MethodGet, "/v1/ready", "", nil) == http.StatusOK })
	var created deployment
	s.send(http.MethodPost, "/v1/environments",
		`{"name":"logs","instanceGroup":{"cluster":"default"},"taskDefinition":"agent"}`, &created)
	return s.deployToken(created.DeploymentToken)
}

func (s *system) deployToken(token string) (id string) {
	s.t.Helper()
	var started deployment
	s.send(http.MethodPost, "/v1/environments/logs/deployments?deploymentToken="+token, "", &started)
	return started.ID
}

func (s *system) awaitCompleted(id string) {
	s.t.Helper()
	testenv.Eventually(s.t, func() bool {
		var d deployment
		s.send(http.MethodGet, "/v1/environments/logs/deployments/"+id, "", &d)
		return d.Status == "completed"
	}, "the deployment is not completed")
}
