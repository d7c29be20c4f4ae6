// Package harness runs programs as processes of their own: services, etcd members, and roles of the running executable.
// Benchmarks, the robustness program and end-to-end tests share it.
package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Config describes a process.
type Config struct {
	// Name identifies the process in errors, and names its log: <Dir>/<Name>.log.
	Name string
	// Path is the program. If Role is set, it is the running executable by default.
	Path string
	// Role selects what the executable does in place of its main function. See RunRole.
	Role string
	Args []string
	// Env holds NAME=value pairs. The process inherits nothing but PATH; its HOME is Dir.
	Env []string
	Dir string
	// OnExit is called when the process ends although nothing in this program ended it. It may be nil.
	OnExit func(name, state string)
	// Alternative is the path of another version of the program. Every second start runs it. It may be empty.
	Alternative string
}

// Process is a program that can be started, paused, killed and started again. It ends with this process. On systems
// other than Linux, it survives if this process is killed.
type Process struct {
	cfg Config

	mu     sync.Mutex
	latest *run // nil before the first start
	starts int
}

// run is one life of a process.
type run struct {
	command  *exec.Cmd
	done     chan struct{} // closed when the process has ended
	stopping bool          // Stop was called
}

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// NewProcess returns a process that does not run yet.
func NewProcess(cfg Config) *Process { return &Process{cfg: cfg} }

// Start runs the program. It does nothing if the process already runs.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest != nil && !p.latest.ended() {
		return nil
	}
	command, log, err := p.prepare()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.cfg.Name, err)
	}
	defer log.Close()
	p.starts++
	fmt.Fprintf(log, "--- start %d\n", p.starts)
	r := &run{command: command, done: make(chan struct{})}
	started := make(chan error)
	go p.run(r, started)
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.cfg.Name, err)
	}
	p.latest = r
	return nil
}

func (p *Process) prepare() (*exec.Cmd, *os.File, error) {
	path := p.cfg.Path
	if p.cfg.Alternative != "" && p.starts%2 == 1 { // p.starts counts the earlier starts
		path = p.cfg.Alternative
	}
	if path == "" && p.cfg.Role != "" {
		self, err := os.Executable()
		if err != nil {
			return nil, nil, err
		}
		path = self
	}
	log, err := os.OpenFile(p.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, nil, err
	}
	command := exec.Command(path, p.cfg.Args...)
	command.Env = append([]string{"HOME=" + p.cfg.Dir, "PATH=" + os.Getenv("PATH")}, p.cfg.Env...)
	if p.cfg.Role != "" {
		command.Env = append(command.Env, roleVariable+"="+p.cfg.Role)
	}
	command.Stdout, command.Stderr = log, log
	endWithParent(command)
	return command, log, nil
}

// run starts the command, reports the result, and waits for the end of the process. It keeps its thread until then,
// because the kernel ends a child when the thread that started it ends, not the whole parent.
func (p *Process) run(r *run, started chan<- error) {
	runtime.LockOSThread()
	err := r.command.Start()
	started <- err
	if err != nil {
		return
	}
	_ = r.command.Wait()
	p.mu.Lock()
	unexpected := !r.stopping
	p.mu.Unlock()
	if unexpected && p.cfg.OnExit != nil {
		p.cfg.OnExit(p.cfg.Name, r.command.ProcessState.String())
	}
	close(r.done)
}

// Kill sends SIGKILL and returns when the process has ended. It also kills a paused process.
func (p *Process) Kill() { p.Stop(syscall.SIGKILL, time.Minute) }

// Stop sends the signal and returns the exit code when the process has ended. If the process still runs after the
// timeout, Stop kills it. The exit code is that of Wait.
func (p *Process) Stop(signal syscall.Signal, timeout time.Duration) int {
	p.mu.Lock()
	r := p.latest
	if r == nil {
		p.mu.Unlock()
		return 0
	}
	r.stopping = true
	p.mu.Unlock()
	_ = r.command.Process.Signal(signal)
	select {
	case <-r.done:
	case <-time.After(timeout):
		_ = r.command.Process.Kill()
	}
	return p.Wait()
}

// Wait returns the exit code of the latest run when it has ended: -1 if a signal ended it, 0 if the process was never
// started.
func (p *Process) Wait() int {
	p.mu.Lock()
	r := p.latest
	p.mu.Unlock()
	if r == nil {
		return 0
	}
	<-r.done
	return r.command.ProcessState.ExitCode()
}

// Pause stops the process with SIGSTOP until Resume or Kill. On Linux, it returns when every thread of the process has
// stopped; elsewhere, a thread may run a moment longer.
func (p *Process) Pause() {
	if r := p.signal(syscall.SIGSTOP); r != nil {
		awaitPaused(r.command.Process.Pid, r.done)
	}
}

// Resume continues a paused process.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

// signal returns the run that has received the signal, nil if the process does not run.
func (p *Process) signal(s syscall.Signal) *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == nil || p.latest.ended() || p.latest.command.Process.Signal(s) != nil {
		return nil
	}
	return p.latest
}

// Done returns a channel that is closed when the latest run has ended. It is nil before the first start.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == nil {
		return nil
	}
	return p.latest.done
}

// PID returns the process ID of the latest run, 0 before the first start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == nil {
		return 0
	}
	return p.latest.command.Process.Pid
}

// Name returns the name of the process.
func (p *Process) Name() string { return p.cfg.Name }

// LogPath returns the file that holds the output of all runs.
func (p *Process) LogPath() string { return filepath.Join(p.cfg.Dir, p.cfg.Name+".log") }

// Output returns what the process has written to stdout and stderr, in all runs.
func (p *Process) Output() string {
	text, err := os.ReadFile(p.LogPath())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return string(text)
}
