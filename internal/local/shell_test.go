package local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

const shellTimeout = 8 * time.Minute // for all commands of a shell

// shell is a bash in which a user types commands.
type shell struct {
	t   *testing.T
	dir string // working directory

	input io.Writer
	lines *bufio.Scanner
	kill  func() // ends the shell and its commands
}

// endMark begins the line that the shell prints after a command, with its exit code.
const endMark = "end-of-command"

// startShell starts a shell with further variables. It and its commands end with the test.
func startShell(t *testing.T, env ...string) *shell {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), shellTimeout)
	cmd := exec.CommandContext(ctx, "bash", "--noprofile", "--norc")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 16<<20)
	return &shell{t: t, dir: cmd.Dir, input: input, lines: lines, kill: cancel}
}

// run runs commands as if they were typed. It returns their output and the exit code of the last one.
func (s *shell) run(commands string) (output string, code int) {
	s.t.Helper()
	s.start(commands)
	for s.lines.Scan() {
		if text, found := strings.CutPrefix(s.lines.Text(), endMark+" "); found {
			code, err := strconv.Atoi(text)
			require.NoError(s.t, err)
			return output, code
		}
		output += s.lines.Text() + "\n"
	}
	require.Fail(s.t, "the shell ended", "%s\n%s", commands, output)
	return "", 0
}

// start is like run, but does not wait for the end.
func (s *shell) start(commands string) {
	_, err := fmt.Fprintf(s.input, "{\n%s\n} </dev/null; printf '\\n%s %%d\\n' $?\n", commands, endMark)
	require.NoError(s.t, err)
}

// recordCurl makes the shell's curl record each call that failed or was answered with an error status.
func (s *shell) recordCurl() {
	s.run(`curl() { command curl --fail-with-body --max-time 60 "$@" || echo "$* (exit code $?)" >>failed-calls; }`)
}

// failedCalls returns the calls that recordCurl recorded.
func (s *shell) failedCalls() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "failed-calls"))
	if err != nil && !os.IsNotExist(err) {
		require.NoError(s.t, err)
	}
	return string(text)
}

// stream runs a command without end in a shell of its own. It returns when the service has responded. The output so
// far is what the returned function returns.
func stream(t *testing.T, command string) (output func() string) {
	t.Helper()
	s := startShell(t)
	s.run(`curl() { command curl --dump-header headers "$@"; }`)
	s.start(command)
	var mu sync.Mutex
	var text strings.Builder
	var reading sync.WaitGroup
	t.Cleanup(func() { s.kill(); reading.Wait() })
	reading.Go(func() {
		for s.lines.Scan() {
			mu.Lock()
			text.WriteString(s.lines.Text() + "\n")
			mu.Unlock()
		}
	})
	testenv.Eventually(t, func() bool {
		headers, err := os.ReadFile(filepath.Join(s.dir, "headers"))
		return err == nil && strings.Contains(string(headers), "200 OK")
	}, "no response to %s", command)
	return func() string { mu.Lock(); defer mu.Unlock(); return text.String() }
}
