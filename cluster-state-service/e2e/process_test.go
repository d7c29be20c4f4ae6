package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv"
)

const debuggableRole = "cluster-state-service"

func TestMain(m *testing.M) {
	harness.RunRole(map[string]harness.Role{debuggableRole: runDebuggable})
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		testenv.RemovePrograms()
		os.Exit(code)
	}))
}

// runDebuggable runs cluster-state-service. The first argument is an address at which it writes its goroutines'
// stacks to every connection; the others are the service's flags.
func runDebuggable(ctx context.Context, args []string) error {
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = pprof.Lookup("goroutine").WriteTo(conn, 2)
			_ = conn.Close()
		}
	}()
	cfg, err := clusterstate.ParseConfig(args[1:], os.Getenv, io.Discard)
	if err != nil {
		return err
	}
	log := logrus.New()
	log.SetLevel(logrus.WarnLevel)
	return clusterstate.Run(ctx, cfg, log)
}

// serviceProcess is a running process of cluster-state-service.
type serviceProcess struct {
	*harness.Process
	t            *testing.T
	url          string
	debugAddress string // of a debuggable one
}

func serviceEnv(aws string) []string {
	return []string{
		"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL=" + aws, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"CSS_LOG_LEVEL=warn",
	}
}

// startProcess starts cluster-state-service with an etcd and a simulated AWS, and returns when it is ready.
func startProcess(t *testing.T, etcd *testenv.Server, aws, queue string) *serviceProcess {
	t.Helper()
	address := testenv.FreeAddress(t)
	p := testenv.Program(t, serviceEnv(aws), "cluster-state-service",
		"--bind", address, "--etcd-endpoint", etcd.Endpoints()[0], "--queue", queue)
	s := &serviceProcess{Process: p, t: t, url: "http://" + address}
	s.awaitReady()
	return s
}

// startDebuggableProcess is startProcess for a process whose goroutines the test counts.
func startDebuggableProcess(t *testing.T, etcd *testenv.Server, aws, queue string) *serviceProcess {
	t.Helper()
	address, debugAddress := testenv.FreeAddress(t), testenv.FreeAddress(t)
	p := harness.NewProcess(harness.Config{
		Name: debuggableRole, Role: debuggableRole, Env: serviceEnv(aws), Dir: t.TempDir(),
		Args: []string{debugAddress, "--bind", address, "--etcd-endpoint", etcd.Endpoints()[0], "--queue", queue},
	})
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Log(p.Output())
		}
	})
	require.NoError(t, p.Start())
	s := &serviceProcess{Process: p, t: t, url: "http://" + address, debugAddress: debugAddress}
	s.awaitReady()
	return s
}

func (s *serviceProcess) awaitReady() {
	s.t.Helper()
	testenv.Eventually(s.t, func() bool {
		status, _, _ := s.get("/v1/ready")
		return status == http.StatusOK
	}, "cluster-state-service is not ready")
}

// get returns status 0 if the service does not respond.
func (s *serviceProcess) get(path string) (status int, header http.Header, body string) {
	s.t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(s.t, err)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, nil, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response.StatusCode, response.Header, string(text)
}

var subscribersMetric = regexp.MustCompile(`(?m)^blox_\w*stream_subscribers\{kind="\w+"\} (\S+)$`)

// openStreams returns the number of streams that the service reports as open.
func (s *serviceProcess) openStreams() (n int) {
	s.t.Helper()
	_, _, body := s.get("/metrics")
	kinds := subscribersMetric.FindAllStringSubmatch(body, -1)
	require.Len(s.t, kinds, 2, "a metric for tasks and one for instances")
	for _, match := range kinds {
		value, err := strconv.ParseFloat(match[1], 64)
		require.NoError(s.t, err)
		n += int(value)
	}
	return n
}

// goroutines returns the stacks of the goroutines that run the service's code or serve its connections. Others, such
// as those of idle connections to AWS and etcd, start and end by themselves.
func (s *serviceProcess) goroutines() (stacks []string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.debugAddress)
	require.NoError(s.t, err)
	defer conn.Close()
	text, err := io.ReadAll(conn)
	require.NoError(s.t, err)
	for stack := range strings.SplitSeq(string(text), "\n\n") {
		own := strings.Contains(stack, "github.com/blox/blox/") || strings.Contains(stack, "net/http.(*conn")
		if own && !strings.Contains(stack, "runDebuggable") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// dial sends a request line, to which it adds headers, and reads that many bytes of the response.
func (s *serviceProcess) dial(request string, read int64) *net.TCPConn {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	tcp := conn.(*net.TCPConn)
	require.NoError(s.t, tcp.SetReadBuffer(4096))
	_, err = io.WriteString(tcp, strings.Replace(request, "HTTP/1.1\r\n", "HTTP/1.1\r\nHost: blox\r\n", 1))
	require.NoError(s.t, err)
	_, err = io.CopyN(io.Discard, tcp, read)
	require.NoError(s.t, err, fmt.Sprintf("%.80q", request))
	return tcp
}
