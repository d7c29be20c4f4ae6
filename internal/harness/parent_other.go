//go:build !linux

package harness

import "os/exec"

// endWithParent does nothing: only Linux can end a child with its parent.
func endWithParent(*exec.Cmd) {}
