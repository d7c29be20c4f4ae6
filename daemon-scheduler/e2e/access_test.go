package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	clusterstate "github.com/blox/blox/cluster-state-service"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/daemon-scheduler/api"
	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/testenv"
	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// accessSystem is a system whose services use TLS and require roles.
type accessSystem struct {
	*system
	ca       *testenv.CA
	dir      string
	cssURL   string
	readOnly string // URL of daemon-scheduler's read-only address
}

func newAccessSystem(t *testing.T) *accessSystem {
	t.Helper()
	return &accessSystem{system: newSystem(t), ca: testenv.NewCA(t), dir: t.TempDir()}
}

// write replaces a file of the system.
func (s *accessSystem) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(s.t, os.Rename(path+".new", path))
}

// tokens returns an access file with the tokens "<name>-token", given as name=role.
func tokens(entries ...string) string {
	text := "tokens:\n"
	for _, entry := range entries {
		name, role, _ := strings.Cut(entry, "=")
		text += fmt.Sprintf("  - {name: %s, role: %s, sha256: %s}\n", name, role, access.Hash(name+"-token"))
	}
	return text
}

// listener returns the flags of a service with TLS and the access file.
func (s *accessSystem) listener(name, accessFile string) []string {
	files := s.ca.Files(name)
	return []string{
		"--etcd-endpoint", s.etcd.Endpoints()[0], "--tls-cert", files.Cert, "--tls-key", files.Key, "--client-ca", files.CA,
		"--client-cert-optional", "--access-file", accessFile,
	}
}

func (s *accessSystem) startCSS() {
	s.t.Helper()
	cfg, err := clusterstate.ParseConfig(
		append(s.listener("css", filepath.Join(s.dir, "css.yml")), "--queue", "blox_queue"), s.getenv, io.Discard)
	require.NoError(s.t, err)
	cfg.Listener = listen(s.t, "127.0.0.1:0")
	s.cssURL = "https://" + cfg.Listener.Addr().String()
	log := newLogger(s.t, logrus.InfoLevel)
	s.runService(func(ctx context.Context) error { return clusterstate.Run(ctx, cfg, log) })
}

// startScheduler runs a daemon-scheduler. The returned client presents no credentials.
func (s *accessSystem) startScheduler() *scheduler {
	s.t.Helper()
	args := append(s.listener("ds", filepath.Join(s.dir, "ds.yml")), "--leader-lease", "10s",
		"--css-endpoint", s.cssURL, "--css-ca", s.ca.File, "--css-token-file", filepath.Join(s.dir, "css.token"))
	cfg, err := daemonscheduler.ParseConfig(args, s.getenv, io.Discard)
	require.NoError(s.t, err)
	cfg.Listener, cfg.ReadOnly = listen(s.t, "127.0.0.1:0"), listen(s.t, "127.0.0.1:0")
	cfg.Bind = cfg.Listener.Addr().String()
	d := &scheduler{system: s.system, url: "https://" + cfg.Bind}
	d.tls = mustLoad(s.t, s.ca.Files("anonymous"))
	d.tls.Certificates = nil
	log := newLogger(s.t, logrus.InfoLevel)
	d.stop = s.runService(func(ctx context.Context) error { return daemonscheduler.Run(ctx, cfg, log) })
	s.readOnly = "https://" + cfg.ReadOnly.Addr().String()
	testenv.Eventually(s.t, func() bool {
		return httpserver.Healthcheck(s.t.Context(), cfg.Bind, "/v1/ping", cfg.TLS) == nil
	}, "--healthcheck: no answer")
	return d
}

// as returns the client with a token.
func (d *scheduler) as(name string) *scheduler {
	client := *d
	client.token = name + "-token"
	return &client
}

func (d *scheduler) awaitReadyAs(name string) {
	d.t.Helper()
	testenv.Eventually(d.t, func() bool {
		answer, _ := d.as(name).send("GET", "/v1/ready", "")
		return answer.StatusCode == http.StatusOK
	}, "not ready")
}

func TestAccess_RolesAreEnforced(t *testing.T) {
	t.Parallel()
	s := newAccessSystem(t)
	s.write("css.yml", tokens("ds=operator"))
	s.write("css.token", "ds-token\n")
	s.write("ds.yml", tokens("vera=viewer", "otto=operator", "ada=admin")+
		"certificates: [{organizationalUnit: platform, role: operator}]\n")
	s.startCSS()
	anonymous := s.startScheduler()
	anonymous.awaitReadyAs("ada")
	certified := *anonymous
	certified.tls = mustLoad(t, s.ca.Files("pat", testenv.Leaf{OrganizationalUnit: "platform"}))
	stranger := *anonymous
	stranger.tls = mustLoad(t, s.ca.Files("stranger"))
	clients := map[string]struct {
		*scheduler
		role   access.Role
		denied int
	}{
		"anonymous": {anonymous, access.Public, 401}, "eve": {anonymous.as("eve"), access.Public, 401},
		"stranger": {&stranger, access.Public, 403}, "vera": {anonymous.as("vera"), access.Viewer, 403},
		"otto": {anonymous.as("otto"), access.Operator, 403}, "pat": {&certified, access.Operator, 403},
		"ada": {anonymous.as("ada"), access.Admin, 403},
	}
	for _, operation := range testenv.Operations(t, v1.JSON) {
		if strings.HasPrefix(operation.Path, "/v1/stream/") {
			operation.Method = http.MethodHead // ends after the header
		}
		method, path := operation.Request()
		needed := api.Policy.Role(mustRequest(t, method, path))
		for name, client := range clients {
			answer, body := client.send(method, path, "")
			if client.role < needed {
				assert.Equal(t, client.denied, answer.StatusCode, "%s: %s: %s", name, operation.ID, body)
				continue
			}
			assert.NotContains(t, []int{401, 403}, answer.StatusCode, "%s: %s: %s", name, operation.ID, body)
		}
	}

	// What an operator may do, and what the events say.
	e := anonymous.as("ada").createEnvironment("logs")
	id := certified.deploy(e)
	s.awaitOneTaskEach(id)
	anonymous.as("otto").mustSend("POST", "/v1/environments/logs/pause", "", nil)
	actors := map[string]string{}
	testenv.Eventually(t, func() bool {
		var list models.Events
		anonymous.as("vera").mustSend("GET", "/v1/events", "", &list)
		for _, event := range list.Items {
			actors[*event.Action] = event.Actor
		}
		return actors["environmentPaused"] != ""
	})
	assert.Equal(t, "ada", actors["environmentCreated"])
	assert.Equal(t, "CN=pat,OU=platform", actors["deploymentCreated"])
	assert.Equal(t, "otto", actors["environmentPaused"])

	dashboard := *anonymous
	dashboard.url = s.readOnly
	dashboard.mustSend("GET", "/v1/environments/logs", "", nil)
	answer, _ := dashboard.send("GET", "/", "")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	answer, _ = dashboard.as("ada").send("POST", "/v1/environments/logs/resume", "")
	assert.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode)
	assert.Equal(t, "paused", anonymous.as("vera").getEnvironment("logs").Status)
}

func mustRequest(t *testing.T, method, path string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, path, nil)
	require.NoError(t, err)
	return request
}

// A scheduler whose token cluster-state-service rejects starts nothing, and follows again once its file has another.
func TestAccess_SchedulerFollowsProtectedClusterState(t *testing.T) {
	t.Parallel()
	s := newAccessSystem(t)
	instances := s.sim.AddInstances("prod", 1)
	s.write("css.yml", tokens("ds=operator"))
	s.write("css.token", "wrong-token\n")
	s.write("ds.yml", tokens("ada=admin", "vera=viewer"))
	s.startCSS()
	d := s.startScheduler().as("ada")
	testenv.Eventually(t, func() bool {
		_, body := d.send("GET", "/v1/ready", "")
		return strings.Contains(body, "cluster-state-service")
	}, "the service does not report that it cannot read cluster-state-service")
	s.write("css.token", "ds-token\n")
	d.awaitReadyAs("ada")
	id := d.deploy(d.createEnvironment("logs"))
	s.awaitOneTaskEach(id, instances...)

	// Another token replaces the first at cluster-state-service, which ends the streams, and then in the file.
	s.write("css.yml", tokens("ds2=operator"))
	awaitRejected := func(token string) {
		client := *d
		client.url, client.token = s.cssURL, token
		testenv.Eventually(t, func() bool {
			answer, _ := client.send("GET", "/v1/clusters", "")
			return answer.StatusCode == http.StatusUnauthorized
		})
	}
	awaitRejected("ds-token")
	s.write("css.token", "ds2-token\n")
	instances = append(instances, s.sim.AddInstances("prod", 1)...)
	s.awaitOneTaskEach(id, instances...)
	s.assertNoDuplicates()

	// A viewer's stream ends when its token is removed. That of another token goes on.
	removed, kept := s.openStream(d.as("vera")), s.openStream(d)
	s.write("ds.yml", tokens("ada=admin"))
	_, err := io.Copy(io.Discard, removed)
	assert.NoError(t, err, "the stream ends as if the service had stopped")
	d.mustSend("POST", "/v1/environments/logs/pause", "", nil)
	for line := ""; !strings.Contains(line, `"paused"`); {
		line, err = kept.ReadString('\n')
		require.NoError(t, err)
	}
	// A broken file changes nothing.
	s.write("ds.yml", "tokens: [")
	awaitMetric(t, d, "blox_ds_access_file_reload_failures_total")
	d.mustSend("POST", "/v1/environments/logs/resume", "", nil)
}

// openStream opens a stream of environments, which ends with the test at the latest.
func (s *accessSystem) openStream(d *scheduler) *bufio.Reader {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/v1/stream/environments", nil)
	require.NoError(s.t, err)
	request.Header.Set("Authorization", "Bearer "+d.token)
	transport := &http.Transport{TLSClientConfig: d.tls.Clone(), ForceAttemptHTTP2: true}
	answer, err := transport.RoundTrip(request)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { cancel(); answer.Body.Close(); transport.CloseIdleConnections() })
	require.Equal(s.t, http.StatusOK, answer.StatusCode)
	return bufio.NewReader(answer.Body)
}

// awaitMetric waits until a metric is above 0.
func awaitMetric(t *testing.T, d *scheduler, name string) {
	t.Helper()
	testenv.Eventually(t, func() bool {
		_, body := d.send("GET", "/metrics", "")
		_, rest, _ := strings.Cut(body, "\n"+name+" ")
		value, _, _ := strings.Cut(rest, "\n")
		return value != "" && value != "0"
	}, "%s is 0", name)
}
