//go:build unix

package httpserver

import (
	"math"
	"syscall"
)

// maxConnections is how many clients the process has file descriptors for; 0 for no limit. The Go runtime has already
// raised the soft limit to the hard one.
func maxConnections() int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 {
		return 0
	}
	return connectionLimit(int64(limit.Cur))
}
