package harness

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel kill the child when this process ends, however it ends.
func endWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
