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

// harness runs commands against a simulated ECS, a real etcd, and the services of Blox.
type harness struct {
	t           *testing.T
	sim         *ecssim.Sim
	aws         *httptest.Server
	etcd        *testenv.Server
	css, ds     string            // host:port
	environment map[string]string // of the commands
	services    map[string]string // variables of the services
}

// newHarness returns a harness that runs both services. Tasks run and stop without delay.
func newHarness(t *testing.T) *harness {
	t.Helper()
	h := newHarnessWithoutServices(t)
	h.startServices(tlsconfig.Files{})
	return h
}

// newHarnessWithoutServices returns a harness in which no service runs.
func newHarnessWithoutServices(t *testing.T) *harness {
	t.Helper()
	h := &harness{t: t, etcd: testenv.EtcdServer(t)} // skips short tests, so nothing may run before it
	h.sim = ecssim.New(ecssim.Config{})
	h.aws = httptest.NewServer(h.sim)
	t.Cleanup(func() { h.sim.Close(); h.aws.Close() })
	h.environment = map[string]string{"BLOX_SIM_ENDPOINT": h.aws.URL}
	h.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	return h
}

// startServices starts both services and waits until they are ready. With files, servers and clients use certificates.
func (h *harness) startServices(files tlsconfig.Files) {
	h.t.Helper()
	h.startClusterState(files)
	args := []string{"--etcd-endpoint", h.etcd.Endpoints()[0], "--leader-lease", "2s", "--css-endpoint", h.css}
	if files.Cert != "" {
		args[len(args)-1] = "https://" + h.css
		args = append(args, "--css-ca", files.CA, "--css-cert", files.Cert, "--css-key", files.Key)
	}
	cfg, err := daemonscheduler.ParseConfig(append(args, tlsFlags(files)...), h.getenv, io.Discard)
	require.NoError(h.t, err)
	cfg.Listener = listen(h.t)
	h.ds = cfg.Listener.Addr().String()
	h.startService(func(ctx context.Context) error { return daemonscheduler.Run(ctx, cfg, h.log()) })
	scheme := "http://"
	if files.Cert != "" {
		scheme = "https://"
		h.environment["BLOX_CA"] = files.CA
		h.environment["BLOX_CERT"] = files.Cert
		h.environment["BLOX_KEY"] = files.Key
	}
	h.environment["BLOX_ENDPOINT"] = scheme + h.ds
	h.environment["BLOX_CSS_ENDPOINT"] = scheme + h.css
	testenv.Eventually(h.t, func() bool { return h.run("status").code == 0 })
}

// startClusterState starts cluster-state-service and does not wait until it is ready.
func (h *harness) startClusterState(files tlsconfig.Files) (stop func()) {
	h.t.Helper()
	args := []string{"--etcd-endpoint", h.etcd.Endpoints()[0], "--queue", "blox_queue"}
	cfg, err := clusterstate.ParseConfig(append(args, tlsFlags(files)...), h.getenv, io.Discard)
	require.NoError(h.t, err)
	cfg.Listener = listen(h.t)
	h.css = cfg.Listener.Addr().String()
	h.environment["BLOX_CSS_ENDPOINT"] = "http://" + h.css
	return h.startService(func(ctx context.Context) error { return clusterstate.Run(ctx, cfg, h.log()) })
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

// startService runs a service until the test ends or the test calls stop.
func (h *harness) startService(service func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(h.t, service(ctx)) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	h.t.Cleanup(stop)
	return stop
}

func (h *harness) log() logrus.FieldLogger {
	log := testenv.Logger(h.t)
	log.SetLevel(logrus.FatalLevel)
	return log
}

func (h *harness) getenv(name string) string {
	if value, set := h.services[name]; set {
		return value
	}
	return map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": h.aws.URL, "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test",
	}[name]
}

// variable returns an environment variable of the commands.
func (h *harness) variable(name string) string { return h.environment[name] }

// result is the exit code and the output of a command.
type result struct {
	code     int
	out, err string
}

// run runs a command and waits until it exits.
func (h *harness) run(args ...string) result {
	h.t.Helper()
	return h.runWithInput("", args...)
}

// runWithInput is run with text on stdin.
func (h *harness) runWithInput(stdin string, args ...string) result {
	h.t.Helper()
	var out, err bytes.Buffer
	program := command.Program{In: strings.NewReader(stdin), Out: &out, Err: &err, Getenv: h.variable}
	code := program.Run(h.t.Context(), args)
	return result{code, out.String(), err.String()}
}

// mustRun is run for a command that must succeed. It returns the output.
func (h *harness) mustRun(args ...string) string {
	h.t.Helper()
	r := h.run(args...)
	require.Equal(h.t, 0, r.code, "blox %v: %s", args, r.err)
	return r.out
}

// field returns the value of a field that a command prints.
func (h *harness) field(name string, args ...string) string {
	h.t.Helper()
	for line := range strings.Lines(h.mustRun(args...)) {
		if value, is := strings.CutPrefix(line, name+":"); is {
			return strings.TrimSpace(value)
		}
	}
	h.t.Fatalf("blox %v prints no %s", args, name)
	return ""
}

// mustRunJSON is mustRun with -o json. It decodes the output into value.
func (h *harness) mustRunJSON(value any, args ...string) {
	h.t.Helper()
	require.NoError(h.t, json.Unmarshal([]byte(h.mustRun(append(args, "-o", "json")...)), value))
}

// process is a command that runs in the background.
type process struct {
	t         *testing.T
	out, err  *syncBuffer
	interrupt func() // like Ctrl-C
	code      chan int
}

// start starts a command and interrupts it when the test ends.
func (h *harness) start(args ...string) *process {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &process{t: h.t, out: &syncBuffer{}, err: &syncBuffer{}, interrupt: cancel, code: make(chan int, 1)}
	program := command.Program{In: strings.NewReader(""), Out: r.out, Err: r.err, Getenv: h.variable}
	var ended sync.WaitGroup
	ended.Go(func() { r.code <- program.Run(ctx, args) })
	h.t.Cleanup(func() { cancel(); ended.Wait() })
	return r
}

// awaitOutput waits until stdout or stderr of the command contains text.
func (r *process) awaitOutput(text string) {
	r.t.Helper()
	written := func() bool {
		return strings.Contains(r.out.String(), text) || strings.Contains(r.err.String(), text)
	}
	testenv.Eventually(r.t, written,
		"%q is not in:\n%s\n%s", text, r.out, r.err)
}

// awaitExit waits until the command exits and returns the exit code.
func (r *process) awaitExit() int {
	r.t.Helper()
	var code int
	testenv.Eventually(r.t, func() bool {
		select {
		case code = <-r.code:
			return true
		default:
			return false
		}
	}, "the command has not exited: %s %s", r.out, r.err)
	return code
}

// syncBuffer is a buffer that supports concurrent reads and writes.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// tableRows returns the cells of a table without its heading. Two spaces separate columns.
func tableRows(out string) [][]string {
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

// writeFile writes a new file with the given content and returns its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
