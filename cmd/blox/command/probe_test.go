package command_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cmd/blox/command"
	"github.com/blox/blox/internal/testenv"
)

// runProbe runs blox probe against addresses where nothing listens.
func runProbe(ctx context.Context, out, err io.Writer, args ...string) int {
	const closed = "http://127.0.0.1:1"
	args = append([]string{"probe", "--endpoint", closed, "--css-endpoint", closed}, args...)
	program := command.Program{In: strings.NewReader(""), Out: out, Err: err, Getenv: func(string) string { return "" }}
	return program.Run(ctx, args)
}

func TestProbe_OnceReportsTheOutcomeAsExitCode(t *testing.T) {
	var out bytes.Buffer
	assert.Equal(t, 1, runProbe(t.Context(), &out, io.Discard, "--read-only", "--once"))
	assert.Contains(t, out.String(), "no connection to cluster-state-service")
}

func TestProbe_RefusesContradictoryFlags(t *testing.T) {
	for want, args := range map[string]string{
		"--cluster is required":         "--task-definition agent:1",
		"--task-definition is required": "--cluster default",
		"--name is empty":               "--cluster default --task-definition agent:1 --name=",
		"must be above 0":               "--read-only --interval 0s",
		"are mutually exclusive":        "--read-only --once --metrics-bind 127.0.0.1:0",
	} {
		var stderr bytes.Buffer
		assert.Equal(t, 2, runProbe(t.Context(), io.Discard, &stderr, strings.Fields(args)...), args)
		assert.Contains(t, stderr.String(), want)
	}
}

func TestProbe_RepeatsAndServesMetrics(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- runProbe(ctx, out, io.Discard, "--read-only", "--interval", "1ms", "--metrics-bind", "127.0.0.1:0")
		_ = out.Close()
	}()
	lines := bufio.NewScanner(read)
	require.True(t, lines.Scan())
	_, url, found := strings.Cut(lines.Text(), "metrics at ")
	require.True(t, found, lines.Text())
	go func() {
		for lines.Scan() { // drain the pipe, or the writer blocks
		}
	}()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	testenv.Eventually(t, func() bool {
		answer, err := client.Get(url)
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return strings.Contains(string(text), `blox_probe_step_failures_total{step="ds_ping"}`) &&
			!strings.Contains(string(text), `blox_probe_step_failures_total{step="ds_ping"} 0`)
	})
	cancel()
	assert.Zero(t, <-ended)
}
