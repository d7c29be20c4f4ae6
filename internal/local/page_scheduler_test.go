package local

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/testenv/short"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
)

// The scheduler that the page shows compiles, starts its tasks and replaces a stopped one.
func TestBuildingAScheduler_ProgramKeepsItsTasksRunning(t *testing.T) {
	short.Skip(t, "builds and runs a program")
	source := ""
	for _, s := range parseSession(page(t, "cluster-state-service/docs/building-a-scheduler.md")) {
		if s.file == "main.go" {
			source = s.commands
		}
	}
	require.NotEmpty(t, source, "the page shows main.go")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600))
	program := filepath.Join(dir, "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, filepath.Join(dir, "main.go"))
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)

	l := startLocal(t, "--instances", "3")
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, strings.TrimPrefix(l.css, "http://"))
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+l.sim, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=any",
		"AWS_SECRET_ACCESS_KEY=any")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { stop(); _ = cmd.Wait() })

	first := l.awaitStartedBy("small", 3, "")
	l.postToSimulator("/_sim/tasks/kill?exitCode=1&task=" + first[0])
	l.awaitStartedBy("small", 3, first[0])
}

// awaitStartedBy waits until n tasks run that were started by a scheduler, without one of them, and returns their ARNs.
func (l *local) awaitStartedBy(startedBy string, n int, without string) (arns []string) {
	l.t.Helper()
	running := "running"
	testenv.Eventually(l.t, func() bool {
		list, err := l.cssAPI.ListTasks(css.NewListTasksParams().WithStartedBy(&startedBy).WithStatus(&running))
		require.NoError(l.t, err)
		arns = nil
		for _, task := range list.Payload.Items {
			if *task.Entity.TaskARN != without {
				arns = append(arns, *task.Entity.TaskARN)
			}
		}
		return len(arns) == n
	}, "not %d tasks of %s", n, startedBy)
	return arns
}
