package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/cmd/blox/command"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a simulated ECS, a real etcd, and the services of Blox, on which commands are run.
type world struct {
	t           *testing.T
	sim         *ecssim.Sim
	aws         *httptest.Server
	etcd        *testenv.Server
	css, ds     string            // host:port
	environment map[string]string // of the commands
}

// newWorld runs both services; tasks run and stop at once.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := newAWS(t)
	w.serve(tlsconfig.Files{})
	return w
}

// newAWS is a world in which no service runs yet.
func newAWS(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, sim: ecssim.New(ecssim.Config{}), etcd: testenv.EtcdServer(t)}
	w.aws = httptest.NewServer(w.sim)
	t.Cleanup(func() { w.sim.Close(); w.aws.Close() })
	w.environment = map[string]string{"BLOX_SIM_ENDPOINT": w.aws.URL}
	w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	return w
}

// serve runs both services, and returns once they are ready. Files are for TLS, with certificates on both sides.
func (w *world) serve(files tlsconfig.Files) {
	w.t.Helper()
	w.serveState(files)
	args := []string{"--etcd-endpoint", w.etcd.Endpoints()[0], "--leader-lease", "2s", "--css-endpoint", w.css}
	if files.Cert != "" {
		args[len(args)-1] = "https://" + w.css
		args = append(args, "--css-ca", files.CA, "--css-cert", files.Cert, "--css-key", files.Key)
	}
	cfg, err := daemonscheduler.ParseConfig(append(args, tlsFlags(files)...), w.getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listen(w.t)
	w.ds = cfg.Listener.Addr().String()
	w.run(func(ctx context.Context) error { return daemonscheduler.Run(ctx, cfg, w.log()) })
	scheme := "http://"
	if files.Cert != "" {
		scheme = "https://"
		w.environment["BLOX_CA"], w.environment["BLOX_CERT"], w.environment["BLOX_KEY"] = files.CA, files.Cert, files.Key
	}
	w.environment["BLOX_ENDPOINT"], w.environment["BLOX_CSS_ENDPOINT"] = scheme+w.ds, scheme+w.css
	testenv.Eventually(w.t, func() bool { return w.blox("status").code == 0 })
}

// serveState runs a cluster-state-service, which need not be ready yet.
func (w *world) serveState(files tlsconfig.Files) (stop func()) {
	w.t.Helper()
	args := []string{"--etcd-endpoint", w.etcd.Endpoints()[0], "--queue", "blox_queue"}
	cfg, err := clusterstate.ParseConfig(append(args, tlsFlags(files)...), w.getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listen(w.t)
	w.css = cfg.Listener.Addr().String()
	w.environment["BLOX_CSS_ENDPOINT"] = "http://" + w.css
	return w.run(func(ctx context.Context) error { return clusterstate.Run(ctx, cfg, w.log()) })
}

func tlsFlags(files tlsconfig.Files) []string {
	if files.Cert == "" {
		return nil
	}
	return []string{"--tls-cert", files.Cert, "--tls-key", files.Key, "--client-ca", files.CA}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

// run runs a service until the test ends or stop is called.
func (w *world) run(service func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(w.t, service(ctx)) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	return stop
}

func (w *world) log() logrus.FieldLogger {
	log := testenv.Logger(w.t)
	log.SetLevel(logrus.FatalLevel)
	return log
}

func (w *world) getenv(name string) string {
	return map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": w.aws.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	}[name]
}

// result is what a command has written, and its exit code.
type result struct {
	code     int
	out, err string
}

// blox runs a command to its end.
func (w *world) blox(args ...string) result {
	w.t.Helper()
	return w.bloxWith("", args...)
}

// bloxWith is blox with something on stdin.
func (w *world) bloxWith(stdin string, args ...string) result {
	w.t.Helper()
	var out, err bytes.Buffer
	program := command.Program{In: strings.NewReader(stdin), Out: &out, Err: &err, Getenv: func(name string) string { return w.environment[name] }}
	code := program.Run(w.t.Context(), args)
	return result{code, out.String(), err.String()}
}

// ok is blox that must succeed, and returns what it has written.
func (w *world) ok(args ...string) string {
	w.t.Helper()
	r := w.blox(args...)
	require.Equal(w.t, 0, r.code, "blox %v: %s", args, r.err)
	return r.out
}

// json is ok with -o json, read into value.
func (w *world) json(value any, args ...string) {
	w.t.Helper()
	require.NoError(w.t, json.Unmarshal([]byte(w.ok(append(args, "-o", "json")...)), value))
}

// running is a command that has not ended.
type running struct {
	t         *testing.T
	out, err  *buffer
	interrupt func() // as Ctrl-C does
	code      chan int
}

// start begins a command, which is interrupted when the test ends.
func (w *world) start(args ...string) *running {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: w.t, out: &buffer{}, err: &buffer{}, interrupt: cancel, code: make(chan int, 1)}
	program := command.Program{In: strings.NewReader(""), Out: r.out, Err: r.err, Getenv: func(name string) string { return w.environment[name] }}
	var ended sync.WaitGroup
	ended.Go(func() { r.code <- program.Run(ctx, args) })
	w.t.Cleanup(func() { cancel(); ended.Wait() })
	return r
}

// says waits until the command has written text, to either output.
func (r *running) says(text string) {
	r.t.Helper()
	testenv.Eventually(r.t, func() bool { return strings.Contains(r.out.String(), text) || strings.Contains(r.err.String(), text) },
		"%q is not in:\n%s\n%s", text, r.out, r.err)
}

// end waits for the command's exit code.
func (r *running) end() int {
	r.t.Helper()
	var code int
	testenv.Eventually(r.t, func() bool {
		select {
		case code = <-r.code:
			return true
		default:
			return false
		}
	}, "it does not end: %s %s", r.out, r.err)
	return code
}

// buffer may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// table is the fields of a table's lines, the heading left out; columns are two spaces apart.
func table(out string) [][]string {
	var rows [][]string
	for _, line := range strings.Split(strings.TrimSpace(out), "\n")[1:] {
		var row []string
		for _, cell := range strings.Split(line, "  ") {
			if cell = strings.TrimSpace(cell); cell != "" {
				row = append(row, cell)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// file is the path of a new file with that content.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
