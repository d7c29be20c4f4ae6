// Stress runs a command while all cores are busy, and exits with the command's code: stress go test ./...
// The load consists of one spinning goroutine per core in this process, so that it ends with the process.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// stopTimeout is the time that the command has to end after an interrupt.
const stopTimeout = 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "stress:", err)
	}
	os.Exit(code)
}

// run keeps every core busy until the command ends, and returns the command's exit code.
func run(ctx context.Context, args []string) (code int, err error) {
	if len(args) == 0 {
		return 2, errors.New("no command: want stress COMMAND [ARGUMENT]…")
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that an interrupt ends the command's children, too
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = stopTimeout

	var stopped atomic.Bool
	defer stopped.Store(true)
	for range runtime.NumCPU() {
		go spin(&stopped)
	}
	err = command.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("%s: %w", args[0], err)
	}
	return 0, nil
}

// spin uses one core until it is stopped.
func spin(stopped *atomic.Bool) {
	for !stopped.Load() {
	}
}
