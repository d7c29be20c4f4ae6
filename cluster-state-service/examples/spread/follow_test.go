package main

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// follow.py, the README's example without Go, prints every change once, also across a restart of the service.
func TestFollow_PrintsEveryChangeOnce(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("no python3 on the PATH")
	}
	require.NoError(t, err)
	w := newWorld(t)
	w.sim.AddInstances("prod", 1)
	stop := w.css()
	w.ready()

	ctx, cancel := context.WithCancel(t.Context())
	script := exec.CommandContext(ctx, python, "follow.py", "http://"+w.address)
	script.Stderr = t.Output()
	out, err := script.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, script.Start())
	t.Cleanup(func() { cancel(); _ = script.Wait() })
	lines := bufio.NewScanner(out)
	next := func() string {
		require.True(t, lines.Scan(), "%v", lines.Err())
		return lines.Text()
	}

	require.Equal(t, "0 tasks", next())
	first := w.sim.StartFargateTask("prod", "web")
	require.Equal(t, []string{first + " RUNNING"}, last(next, first+" RUNNING"))
	stop()
	require.NoError(t, w.sim.KillTask(first, 0))
	w.css()
	require.Equal(t, []string{first + " STOPPED"}, last(next, first+" STOPPED"), "no change is printed twice")
}

// last returns the lines up to want without the intermediate states.
func last(next func() string, want string) (lines []string) {
	task, _, _ := strings.Cut(want, " ")
	for {
		line := next()
		if line == want {
			return append(lines, line)
		}
		if !strings.HasPrefix(line, task) || strings.HasSuffix(line, "RUNNING") || strings.HasSuffix(line, "STOPPED") {
			lines = append(lines, line)
		}
	}
}

// ready waits until the cluster-state-service reports ready.
func (w *world) ready() {
	w.t.Helper()
	testenv.Eventually(w.t, func() bool {
		answer, err := http.Get("http://" + w.address + "/v1/ready")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}
