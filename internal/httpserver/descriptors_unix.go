//go:build unix

package httpserver

import (
	"math"
	"syscall"
)

// mostConnections is how many clients the process has descriptors for; 0 for any number. Go has raised the limit as far as it may.
func mostConnections() int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 {
		return 0
	}
	return reserve(int64(limit.Cur))
}
