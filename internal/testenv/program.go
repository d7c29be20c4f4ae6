package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv/short"
)

// programs are the commands that Program has built for this test binary.
var programs struct {
	mu    sync.Mutex
	dir   string
	built map[string]bool
}

// Program starts a command of this module, such as "ecs-sim". The command ends with the test. Its output is logged if
// the test fails. With -short the test is skipped. Env holds NAME=value pairs. TestMain has to call RemovePrograms.
func Program(tb testing.TB, env []string, name string, args ...string) *harness.Process {
	tb.Helper()
	short.Skip(tb, "starts a process")
	path, err := build(tb, name)
	require.NoError(tb, err)
	p := harness.NewProcess(harness.Config{Name: name, Path: path, Args: args, Env: env, Dir: tb.TempDir()})
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("%s: %s", name, p.Output())
		}
	})
	require.NoError(tb, p.Start())
	return p
}

// build compiles a command once for all tests of a test binary.
func build(tb testing.TB, name string) (path string, err error) {
	programs.mu.Lock()
	defer programs.mu.Unlock()
	if programs.dir == "" {
		if programs.dir, err = os.MkdirTemp("", "blox-programs-"); err != nil {
			return "", err
		}
		programs.built = map[string]bool{}
	}
	path = filepath.Join(programs.dir, name)
	if programs.built[name] {
		return path, nil
	}
	if err := harness.Build(tb.Context(), programs.dir, "cmd/"+name); err != nil {
		return "", fmt.Errorf("program %s: %w", name, err)
	}
	programs.built[name] = true
	return path, nil
}

// RemovePrograms removes the commands that Program has built.
func RemovePrograms() {
	programs.mu.Lock()
	defer programs.mu.Unlock()
	_ = os.RemoveAll(programs.dir)
	programs.dir = ""
}
