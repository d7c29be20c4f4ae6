package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The outcomes of a command with a mutation.
const (
	caught     = "caught"           // an assertion failed, or blox-robustness reported the promise
	survived   = "survived"         // the command passed
	broken     = "does not compile" // the mutation has to be repaired
	panicked   = "panicked"         // a panic or a timeout proves no promise
	otherError = "another failure"  // blox-robustness failed without a report of the promise
)

// testTimeout is how long the tests of one mutation may take. A mutation that makes them wait for longer is repaired.
const testTimeout = 5 * time.Minute

// waitTimeout limits each wait of testenv, so that the assertion after it fails long before testTimeout.
const waitTimeout = time.Minute

// programs are the packages of the programs that blox-robustness starts, and its own.
var programs = []string{
	"cmd/blox-robustness", "cmd/ecs-sim", "cmd/cluster-state-service", "cmd/daemon-scheduler", "cmd/blox",
}

// runner runs commands in the module at root, and keeps its files in dir.
type runner struct {
	root, dir string
	passed    map[string]error  // outcomes without a mutation, by command
	built     map[string]string // tests without a mutation, by package
}

func newRunner(root, dir string) *runner {
	return &runner{root: root, dir: dir, passed: map[string]error{}, built: map[string]string{}}
}

// baseline runs the command of the mutation without the mutation, once for each command. It returns why it failed.
func (r *runner) baseline(ctx context.Context, by finder) error {
	err, ok := r.passed[by.String()]
	if !ok {
		err = r.checkBaseline(ctx, by)
		r.passed[by.String()] = err
	}
	return err
}

func (r *runner) checkBaseline(ctx context.Context, by finder) error {
	output, err := r.command(ctx, by, "")
	if err != nil {
		return fmt.Errorf("the command fails without the mutation: %w\n%s", err, output)
	}
	for _, name := range by.tests {
		if !strings.Contains(output, "--- PASS: "+name+" ") {
			return fmt.Errorf("%s did not run: does it exist, and is it skipped here?\n%s", name, output)
		}
	}
	return nil
}

// mutated runs the command of the mutation with the mutation. It returns the outcome and the output.
func (r *runner) mutated(ctx context.Context, m mutation) (outcome, output string, err error) {
	dir, err := os.MkdirTemp(r.dir, "overlay-")
	if err != nil {
		return "", "", err
	}
	overlay, err := m.writeOverlay(r.root, dir)
	if err != nil {
		return "", "", err
	}
	output, err = r.command(ctx, m.by, overlay)
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	return classify(m.by, output, err), output, nil
}

// errBuild reports that the command was not run because its build failed.
var errBuild = errors.New("build failed")

var (
	inPanic    = regexp.MustCompile(`(?m)^(panic|fatal error): `)
	failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+) `)
)

// classify returns the outcome of a command with a mutation.
func classify(by finder, output string, err error) string {
	switch {
	case errors.Is(err, errBuild):
		return broken
	case err == nil:
		return survived
	case inPanic.MatchString(output):
		return panicked
	case by.pkg != "" && failedTest.MatchString(output), by.pkg == "" && strings.Contains(output, by.found):
		return caught
	}
	return otherError
}

// command builds the command with the overlay, if any, and runs it. It returns its output.
func (r *runner) command(ctx context.Context, by finder, overlay string) (output string, err error) {
	bin, err := os.MkdirTemp(r.dir, "bin-")
	if err != nil {
		return "", err
	}
	if by.pkg == "" {
		defer os.RemoveAll(bin)
		return r.robustness(ctx, bin, by, overlay)
	}
	program, built := r.built[by.pkg]
	if overlay != "" || !built {
		program = filepath.Join(bin, "tests")
		output, err = r.execute(ctx, r.root, overlay,
			"go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-o", program, "./"+by.pkg)
		if err != nil {
			return output, fmt.Errorf("%w: %w", errBuild, err)
		}
	}
	if overlay == "" {
		r.built[by.pkg] = program
	} else {
		defer os.RemoveAll(bin)
	}
	// Tests that build programs do so with the overlay, too.
	return r.execute(ctx, filepath.Join(r.root, by.pkg), overlay,
		program, "-test.v", "-test.failfast", "-test.timeout", testTimeout.String(), "-test.run", by.pattern())
}

func (r *runner) robustness(ctx context.Context, bin string, by finder, overlay string) (output string, err error) {
	build := []string{"build", "-o", bin}
	for _, p := range programs {
		build = append(build, "./"+p)
	}
	if output, err = r.execute(ctx, r.root, overlay, "go", build...); err != nil {
		return output, fmt.Errorf("%w: %w", errBuild, err)
	}
	if by.changesClocks() {
		output, err = r.execute(ctx, r.root, overlay, "go", "run", "./internal/harness/testclock/build",
			"-o", filepath.Join(bin, "testclock"), "cmd/cluster-state-service", "cmd/daemon-scheduler")
		if err != nil {
			return output, fmt.Errorf("%w: %w", errBuild, err)
		}
	}
	program := filepath.Join(bin, "blox-robustness")
	if overlay == "" {
		return r.execute(ctx, r.root, "", program, by.args...)
	}
	return r.untilReport(ctx, overlay, program, by)
}

// untilReport runs blox-robustness until it ends or reports the promise, which is all that a mutation has to do.
func (r *runner) untilReport(ctx context.Context, overlay, program string, by finder) (output string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	report := &reportWriter{report: []byte("VIOLATION " + by.found), reported: cancel}
	command := r.newCommand(ctx, r.root, overlay, program, by.args...)
	command.Stdout, command.Stderr = report, report
	err = command.Run()
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return report.output.String(), err
}

// reportWriter keeps what is written to it, and calls reported after each write that follows the report.
type reportWriter struct {
	output   bytes.Buffer
	report   []byte
	reported func()
}

func (w *reportWriter) Write(p []byte) (int, error) {
	w.output.Write(p)
	if bytes.Contains(w.output.Bytes(), w.report) {
		w.reported()
	}
	return len(p), nil
}

func (r *runner) execute(ctx context.Context, dir, overlay, name string, args ...string) (output string, err error) {
	out, err := r.newCommand(ctx, dir, overlay, name, args...).CombinedOutput()
	return string(out), err
}

func (r *runner) newCommand(ctx context.Context, dir, overlay, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 20 * time.Second
	command.Env = append(os.Environ(), "TESTENV_TIMEOUT="+waitTimeout.String())
	if overlay != "" {
		command.Env = append(command.Env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	return command
}
