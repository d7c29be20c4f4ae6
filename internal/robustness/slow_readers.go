package robustness

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	slowReaderTime    = 30 * time.Second
	slowReaders       = 8 // of each replica
	slowWriteInterval = 50 * time.Millisecond
	slowRecordSize    = 16 << 10 // bytes; fills the kernel's buffers for a client that does not read within seconds
	maxInFlight       = 20       // writes of one second, by which a healthy client may be behind
	maxLag            = 6 * time.Second
)

// checkSlowReaders opens streams whose clients do not read and writes large records. No other client may fall behind.
func (c *checker) checkSlowReaders(ctx context.Context, bad *badClients, streams []*streamClient) error {
	ctx, cancel := context.WithTimeout(ctx, slowReaderTime)
	defer cancel()
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	for n := range slowReaders {
		for _, service := range []string{"css-0", "css-1"} {
			reading.Go(func() { bad.neverRead(ctx, service, n) })
		}
	}
	arn := probeARN(999_999, 0)
	padding := strings.Repeat("x", slowRecordSize)
	behindSince := map[*streamClient]time.Time{}
	for version := 1; backoff.Sleep(ctx, slowWriteInterval); version++ {
		short, cancel := context.WithTimeout(ctx, requestTimeout)
		put, err := c.etcd.Put(short, taskPrefix+probeCluster+"/"+arn,
			probeRecord(arn, strconv.Itoa(version)+padding, version))
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("write while clients do not read: %w", err)
		}
		for _, s := range streams {
			if c.isBehind(s, put.Header.Revision, behindSince) {
				return nil
			}
		}
	}
	return nil
}

// isBehind reports a violation, and returns true, if the client has been behind for longer than maxLag.
func (c *checker) isBehind(s *streamClient, revision int64, since map[*streamClient]time.Time) bool {
	if s.kind != "tasks" || s.receivedVersion() > revision-maxInFlight {
		delete(since, s)
		return false
	}
	if since[s].IsZero() {
		since[s] = time.Now()
	}
	lag := time.Since(since[s])
	if lag <= maxLag {
		return false
	}
	c.history.violation("slow clients do not affect others", "stream client %d is behind for %s, at %d of %d",
		s.replica, lag.Round(time.Second), s.receivedVersion(), revision)
	return true
}
