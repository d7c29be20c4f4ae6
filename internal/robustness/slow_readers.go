package robustness

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	stallFor    = 30 * time.Second
	stallEvery  = 50 * time.Millisecond
	stallRecord = 16 << 10 // bytes: what the kernel holds for a client that does not read is full within seconds
	stallBehind = 6 * time.Second
)

// stall has clients not read their streams while much is written, with nothing else wrong: nobody else may fall behind.
func (c *checker) stall(ctx context.Context, bad *nuisances, streams []*streamClient) error {
	ctx, cancel := context.WithTimeout(ctx, stallFor)
	defer cancel()
	var stalled sync.WaitGroup
	defer stalled.Wait()
	defer cancel()
	for n := range 8 {
		for _, service := range []string{"css-0", "css-1"} {
			stalled.Go(func() { bad.stalled(ctx, service, n) })
		}
	}
	arn := probeARN(999_999, 0)
	padding := strings.Repeat("x", stallRecord)
	behind := map[*streamClient]time.Time{} // since when
	for version := 1; sleep(ctx, stallEvery); version++ {
		short, cancel := context.WithTimeout(ctx, callTimeout)
		put, err := c.etcd.Put(short, "ecs/task/"+probeCluster+"/"+arn, probeRecord(arn, strconv.Itoa(version)+padding, version))
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("a write while clients stall: %w", err)
		}
		for _, s := range streams {
			const writes = 20 // that may be on their way: a second's
			if s.kind != "tasks" || s.reached() > put.Header.Revision-writes {
				delete(behind, s)
				continue
			}
			if behind[s].IsZero() {
				behind[s] = time.Now()
			} else if late := time.Since(behind[s]); late > stallBehind {
				c.report.violated("a slow client harms no other", "stream client %d is behind since %s, at %d of %d", s.first, late.Round(time.Second), s.reached(), put.Header.Revision)
				return nil
			}
		}
	}
	return nil
}

// reached is the version up to which the client was told everything.
func (s *streamClient) reached() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 {
		return 0
	}
	return s.segments[len(s.segments)-1].to
}
