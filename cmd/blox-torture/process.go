package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// process is a program that is started, killed, paused and started again.
type process struct {
	name    string
	program string
	args    []string
	env     []string
	log     string // path; what it says in all of its lives
	died    func(how string)

	mu      sync.Mutex
	command *exec.Cmd     // nil while it does not run
	done    chan struct{} // closed when command has ended
	lives   int
}

// start runs the program; one that runs already is left alone.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command != nil {
		return nil
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	p.lives++
	fmt.Fprintf(log, "--- life %d\n", p.lives)
	command := exec.Command(p.program, p.args...)
	command.Env = append([]string{"HOME=" + filepath.Dir(p.log), "PATH=" + os.Getenv("PATH")}, p.env...)
	command.Stdout, command.Stderr = log, log
	endWithParent(command)
	if err := spawn(command); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	done := make(chan struct{})
	p.command, p.done = command, done
	go func() {
		_ = command.Wait()
		p.mu.Lock()
		alone := p.command == command // nobody has killed it
		if alone {
			p.command = nil
		}
		p.mu.Unlock()
		if alone {
			p.died(command.ProcessState.String())
		}
		close(done)
	}()
	return nil
}

// kill ends it with SIGKILL, also when it is paused, and returns when it has ended.
func (p *process) kill() { p.endWithin(syscall.SIGKILL, time.Minute) }

// endWithin sends the signal, and SIGKILL when the process has not ended within that time; it returns the exit code, -1 of
// one that a signal has ended, 0 of one that did not run.
func (p *process) endWithin(signal syscall.Signal, within time.Duration) int {
	p.mu.Lock()
	command, done := p.command, p.done
	p.command = nil
	p.mu.Unlock()
	if command == nil {
		return 0
	}
	_ = command.Process.Signal(signal)
	select {
	case <-done:
	case <-time.After(within):
		_ = command.Process.Kill()
		<-done
	}
	return command.ProcessState.ExitCode()
}

// pause stops it where it is until resume.
func (p *process) pause()  { p.signal(syscall.SIGSTOP) }
func (p *process) resume() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command != nil {
		_ = p.command.Process.Signal(s)
	}
}
