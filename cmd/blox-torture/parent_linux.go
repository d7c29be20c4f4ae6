package main

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// endWithParent has the kernel kill the process when this one ends, however it ends.
func endWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// spawn starts a command on a thread that lives as long as this process: the kernel means the thread when it says parent.
func spawn(command *exec.Cmd) error {
	started := make(chan error)
	starters() <- func() { started <- command.Start() }
	return <-started
}

var starters = sync.OnceValue(func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range work {
			start()
		}
	}()
	return work
})
