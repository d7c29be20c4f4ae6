package httpserver

import (
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// connLimiter bounds the number of open connections. A process that has used up its file descriptors can reach neither
// etcd nor its queue nor ECS.
type connLimiter struct {
	limit int64 // 0 for no limit
	log   logrus.FieldLogger

	open     atomic.Int64
	loggedAt atomic.Int64 // when a refusal was last logged, in nanoseconds since 1970
}

// acquire counts a new connection and reports whether it may stay. The caller calls release in both cases.
func (l *connLimiter) acquire() bool {
	n := l.open.Add(1)
	if l.limit == 0 || n <= l.limit {
		return true
	}
	now, loggedAt := time.Now().UnixNano(), l.loggedAt.Load()
	if now-loggedAt > int64(time.Minute) && l.loggedAt.CompareAndSwap(loggedAt, now) {
		l.log.WithField("connections", l.limit).Warn("connections rejected: too few file descriptors (ulimit -n)")
	}
	return false
}

func (l *connLimiter) release() { l.open.Add(-1) }

// connectionLimit is how many of a process's file descriptors its clients may use. An eighth, and 64 at least, is kept
// for everything else.
func connectionLimit(descriptors int64) int64 {
	return max(1, descriptors-max(64, descriptors/8))
}
