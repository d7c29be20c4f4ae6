package httpserver

import (
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// crowd counts connections, of which there may be so many: a process that has used up its descriptors could not reach etcd, its
// queue or ECS again, and could not tell why.
type crowd struct {
	most int64 // 0 for any number
	log  logrus.FieldLogger

	open atomic.Int64
	told atomic.Int64 // when it was logged last, in nanoseconds
}

// come tells whether there is room for one more, which leaves in any case.
func (c *crowd) come() bool {
	n := c.open.Add(1)
	if c.most == 0 || n <= c.most {
		return true
	}
	now, told := time.Now().UnixNano(), c.told.Load()
	if now-told > int64(time.Minute) && c.told.CompareAndSwap(told, now) {
		c.log.WithField("connections", c.most).Warn("more connections are refused: the process has no descriptors for them (ulimit -n)")
	}
	return false
}

func (c *crowd) leave() { c.open.Add(-1) }

// reserve is the descriptors that are kept for everything but clients: an eighth, and 64 at least.
func reserve(descriptors int64) (connections int64) {
	return max(1, descriptors-max(64, descriptors/8))
}
