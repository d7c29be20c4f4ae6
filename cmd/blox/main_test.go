package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// asProgram is the environment variable that makes the test binary run blox.
const asProgram = "BLOX_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

func blox(t *testing.T, environment []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append([]string{asProgram + "=1", "HOME=" + t.TempDir()}, environment...)
	return cmd
}

func TestBlox_ExitCodes(t *testing.T) {
	out, err := blox(t, nil, "--version").Output()
	require.NoError(t, err)
	assert.Regexp(t, `^blox \S+\n$`, string(out))
	var exit *exec.ExitError
	_, err = blox(t, nil, "nonsense").Output()
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 2, exit.ExitCode())
	assert.Contains(t, string(exit.Stderr), `unknown command "nonsense"`)
	_, err = blox(t, []string{"BLOX_ENDPOINT=" + testenv.FreeAddress(t)}, "environments", "list").Output()
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
}

// Ctrl-C ends a stream with exit code 0 and without an error.
func TestBlox_CtrlCEndsAStream(t *testing.T) {
	css := startState(t)
	stream := blox(t, []string{"BLOX_CSS_ENDPOINT=" + css}, "stream", "tasks", "--heartbeat", "1", "-o", "json")
	var stderr strings.Builder
	stream.Stderr = &stderr
	out, err := stream.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, stream.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "no heartbeat")
	assert.Contains(t, lines.Text(), "entityVersion")
	require.NoError(t, stream.Process.Signal(syscall.SIGINT))
	for lines.Scan() {
	}
	assert.NoError(t, stream.Wait())
	assert.Empty(t, stderr.String())
}

// startState runs cluster-state-service until the test ends and waits until it is ready.
func startState(t *testing.T) (address string) {
	t.Helper()
	sim := ecssim.New(ecssim.Config{})
	aws := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); aws.Close() })
	getenv := func(name string) string {
		return map[string]string{
			"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": aws.URL, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
		}[name]
	}
	args := []string{"--etcd-endpoint", testenv.EtcdServer(t).Endpoints()[0], "--queue", "blox_queue"}
	cfg, err := clusterstate.ParseConfig(args, getenv, io.Discard)
	require.NoError(t, err)
	cfg.Listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	log := testenv.Logger(t)
	log.SetLevel(logrus.FatalLevel)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, clusterstate.Run(ctx, cfg, log)) })
	t.Cleanup(func() { cancel(); running.Wait() })
	address = cfg.Listener.Addr().String()
	testenv.Eventually(t, func() bool {
		return blox(t, []string{"BLOX_CSS_ENDPOINT=" + address}, "clusters", "list").Run() == nil
	})
	return address
}
