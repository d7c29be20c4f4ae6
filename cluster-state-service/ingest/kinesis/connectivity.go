package kinesis

import (
	"errors"
	"sync"
	"time"
)

var errReadTimeout = errors.New("stream unreadable for too long; leaving its shards to the other replicas")

// connectivity records since when this replica has failed to read the stream. Time spent on waiting for the store
// does not count.
type connectivity struct {
	mu           sync.Mutex
	failingSince time.Time // zero after a success
}

// observe records the result of a read. Throttling and expired iterators prove that the stream responds.
func (c *connectivity) observe(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil, isThrottled(err), isExpired(err):
		c.failingSince = time.Time{}
	case c.failingSince.IsZero():
		c.failingSince = time.Now()
	}
}

// failedFor reports whether every read has failed for longer than timeout.
func (c *connectivity) failedFor(timeout time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.failingSince.IsZero() && time.Since(c.failingSince) > timeout
}
