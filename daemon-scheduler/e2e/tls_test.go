package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	clusterstate "github.com/blox/blox/cluster-state-service"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
)

// Secrets that no log may contain.
const (
	etcdPassword = "etcd-hush"
	cssPassword  = "css-hush"
	awsSecret    = "aws-hush"
	awsPassword  = "proxy-hush"
)

// tlsSystem is a system in which every connection of Blox uses mutual TLS, and etcd also requires a password.
type tlsSystem struct {
	*system
	ca     *testenv.CA
	log    *logrus.Logger
	logs   *logBuffer
	cssURL string
}

// logBuffer records log lines and copies them to the test's output.
type logBuffer struct {
	mu     sync.Mutex
	text   bytes.Buffer
	output io.Writer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	return l.output.Write(p)
}

func (l *logBuffer) contents() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (s *tlsSystem) getenv(name string) string {
	return map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": strings.Replace(s.aws.URL, "://", "://me:"+awsPassword+"@", 1),
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": awsSecret,
		"CSS_ETCD_PASSWORD": etcdPassword, "DS_ETCD_PASSWORD": etcdPassword,
		"CSS_ETCD_USER": "blox", "DS_ETCD_USER": "blox",
	}[name]
}

func newTLSSystem(t *testing.T) *tlsSystem {
	t.Helper()
	ca := testenv.NewCA(t)
	server := testenv.EtcdServer(t, embedded.Options{TLS: ca.Files("etcd"), TokenTTL: time.Second}) // it may skip the test
	w := &system{t: t, sim: ecssim.New(ecssim.Config{}), etcd: server}
	w.client = w.etcd.Client()
	w.aws = w.newAWS()
	t.Cleanup(func() { w.sim.Close(); w.aws.Close() })
	require.Equal(t, prod, w.sim.CreateCluster("prod"))
	w.agent = w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	for _, do := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := w.client.UserAdd(ctx, "root", "root's"); return err },
		func(ctx context.Context) error { _, err := w.client.UserGrantRole(ctx, "root", "root"); return err },
		func(ctx context.Context) error { _, err := w.client.RoleAdd(ctx, "blox"); return err },
		func(ctx context.Context) error {
			_, err := w.client.RoleGrantPermission(ctx, "blox", "ecs/", clientv3.GetPrefixRangeEnd("ecs/"),
				clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func(ctx context.Context) error { _, err := w.client.UserAdd(ctx, "blox", etcdPassword); return err },
		func(ctx context.Context) error { _, err := w.client.UserGrantRole(ctx, "blox", "blox"); return err },
		func(ctx context.Context) error { _, err := w.client.AuthEnable(ctx); return err },
	} {
		require.NoError(t, do(t.Context()))
	}
	s := &tlsSystem{system: w, ca: ca, log: testenv.Logger(t), logs: &logBuffer{output: t.Output()}}
	s.log.SetOutput(s.logs)
	return s
}

// flags returns the TLS and etcd flags of the named service.
func (s *tlsSystem) flags(name string) []string {
	own, etcd := s.ca.Files(name), s.ca.Files(name+"-at-etcd")
	return []string{
		"--tls-cert", own.Cert, "--tls-key", own.Key, "--client-ca", own.CA,
		"--etcd-endpoint", s.etcd.Endpoints()[0], "--etcd-ca", etcd.CA, "--etcd-cert", etcd.Cert, "--etcd-key", etcd.Key,
	}
}

func (s *tlsSystem) startCSS() {
	s.t.Helper()
	cfg, err := clusterstate.ParseConfig(append(s.flags("css"), "--queue", "blox_queue"), s.getenv, io.Discard)
	require.NoError(s.t, err)
	cfg.Listener = listen(s.t, "127.0.0.1:0")
	s.cssURL = "https://me:" + cssPassword + "@" + cfg.Listener.Addr().String()
	s.runService(func(ctx context.Context) error { return clusterstate.Run(ctx, cfg, s.log) })
}

func (s *tlsSystem) startScheduler() (*scheduler, daemonscheduler.Config) {
	s.t.Helper()
	own := s.ca.Files("ds-at-css")
	cfg, err := daemonscheduler.ParseConfig(append(s.flags("ds"), "--leader-lease", "10s",
		"--css-endpoint", s.cssURL, "--css-ca", own.CA, "--css-cert", own.Cert, "--css-key", own.Key), s.getenv, io.Discard)
	require.NoError(s.t, err)
	cfg.Listener = listen(s.t, "127.0.0.1:0")
	cfg.Bind = cfg.Listener.Addr().String()
	client, err := tlsconfig.Load(s.ca.Files("client"), s.log)
	require.NoError(s.t, err)
	d := &scheduler{system: s.system, url: "https://" + cfg.Bind, tls: client.Client()}
	d.stop = s.runService(func(ctx context.Context) error { return daemonscheduler.Run(ctx, cfg, s.log) })
	return d, cfg
}

func TestServices_ConnectOverTLS(t *testing.T) {
	t.Parallel()
	s := newTLSSystem(t)
	instances := s.sim.AddInstances("prod", 2)
	s.startCSS()
	d, cfg := s.startScheduler()
	testenv.Eventually(t, func() bool {
		return httpserver.Healthcheck(t.Context(), cfg.Bind, "/v1/ready", cfg.TLS) == nil
	}, "--healthcheck: not ready")
	e := d.createEnvironment("logs")
	id := d.deploy(e)
	s.awaitOneTaskEach(id, instances...)
	d.awaitCompleted("logs", id)

	// Clients without a certificate of this CA are rejected.
	untrusted := *d
	for _, untrusted.tls = range []*tls.Config{
		{RootCAs: d.tls.RootCAs},
		{RootCAs: d.tls.RootCAs, Certificates: mustLoad(t, testenv.NewCA(t).Files("client")).Certificates},
	} {
		_, err := untrusted.status("/v1/environments")
		assert.ErrorContains(t, err, "tls:")
	}

	// Another CA replaces every certificate and does not trust the earlier ones. Both services continue with new
	// connections. The restarted etcd has lost its authentication tokens and closed the old connections.
	replaceCertificates(t, s.ca)
	s.etcd.Stop()
	s.etcd.Start()
	later := mustLoad(t, tlsconfig.Files{CA: s.ca.File, Cert: clientFile(s.ca, ".pem"), Key: clientFile(s.ca, ".key")})
	testenv.Eventually(t, func() bool {
		renewed := *d
		renewed.tls = later
		answer, err := renewed.status("/v1/environments/logs")
		return err == nil && answer == http.StatusOK
	}, "the new certificates are not served")
	d.tls = later
	instances = append(instances, s.sim.AddInstances("prod", 1)...)
	s.awaitOneTaskEach(id, instances...)
	s.assertNoDuplicates()

	// SQS is down, so the services log errors that contain its endpoint.
	s.sim.Close() // ends long polls
	s.aws.Close()
	testenv.Eventually(t, func() bool { return strings.Contains(s.logs.contents(), "receive events") })
	logged := s.logs.contents()
	for _, want := range []string{"certificates reloaded", "daemon-scheduler started", "cluster-state-service started"} {
		assert.Contains(t, logged, want)
	}
	for _, hidden := range []string{etcdPassword, cssPassword, awsSecret, awsPassword, e.DeploymentToken,
		"PRIVATE KEY"} {
		assert.NotContains(t, logged, hidden)
	}
}

// status sends a GET and returns the status or the connection's error.
func (d *scheduler) status(path string) (status int, err error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: d.tls, DisableKeepAlives: true},
		Timeout: requestTimeout}
	answer, err := client.Get(d.url + path)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

func mustLoad(t testing.TB, files tlsconfig.Files) *tls.Config {
	t.Helper()
	certificates, err := tlsconfig.Load(files, testenv.Logger(t))
	require.NoError(t, err)
	return certificates.Client()
}

// replaceCertificates replaces the CA and reissues every certificate from the new one.
func replaceCertificates(t *testing.T, ca *testenv.CA) {
	t.Helper()
	next := testenv.NewCA(t)
	dir := filepath.Dir(ca.File)
	names, err := filepath.Glob(filepath.Join(dir, "*.key"))
	require.NoError(t, err)
	for _, key := range names {
		base := strings.TrimSuffix(key, ".key")
		cert, secret := next.Issue(filepath.Base(base))
		require.NoError(t, os.WriteFile(base+".pem", cert, 0o600))
		require.NoError(t, os.WriteFile(key, secret, 0o600))
	}
	authority, err := os.ReadFile(next.File)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(ca.File, authority, 0o600))
}

func clientFile(ca *testenv.CA, kind string) string {
	return filepath.Join(filepath.Dir(ca.File), "client"+kind)
}
