package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/backoff"
)

const (
	streamSoakSection = "soak-streams"
	idleStreams       = 10_000
	activeStreams     = 1000
	activeRounds      = 10
	idleVersion       = versionStep / 2 // of the event that the idle streams receive, before those of the active ones
)

// soakStreams holds many idle streams open, then many active ones.
func soakStreams(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := seed(ctx, s.etcd, 1000, 1000); err != nil {
		return err
	}
	css, err := s.startClusterState(ctx)
	if err != nil {
		return err
	}
	before, err := css.usage(ctx)
	if err != nil {
		return err
	}
	m := &streamMeter{system: s, service: css, version: versionStep, duration: cfg.load / 60}
	const path, text = "/v1/tasks?cluster=cluster-1&limit=1", `"items":[{`
	probe := css.startProbeClient(ctx, path, text)
	defer probe.stop()
	if err := m.soakIdle(ctx, t, before); err != nil {
		return err
	}
	if err := t.addProbeClient(streamSoakSection, "with 10,000 idle streams", probe); err != nil {
		return err
	}
	probe = css.startProbeClient(ctx, path, text)
	defer probe.stop()
	if err := m.soakActive(ctx, t); err != nil {
		return err
	}
	return t.addProbeClient(streamSoakSection, "with 1,000 active streams", probe)
}

// soakActive opens and closes active streams in rounds. The memory after the last round must not exceed the highest of
// the rounds before.
func (m *streamMeter) soakActive(ctx context.Context, t *table) error {
	rate := eventRate{"200 events/s", 50 * time.Millisecond, 10}
	var highest, last usage
	for i := range activeRounds {
		latencies, sent, _, err := m.lines(ctx, activeStreams, false, rate)
		if err != nil {
			return err
		}
		if last, err = m.service.usage(ctx); err != nil {
			return err
		}
		switch i {
		case 0: // it may still hold memory of the idle streams
		case activeRounds - 1:
			p50, p99 := percentiles(latencies)
			name := fmt.Sprintf("1,000 streams, %.0f events/s for %s: event to line, p50", sent, m.duration)
			t.add(streamSoakSection, name, "ms", single(p50))
			t.add(streamSoakSection, "the same, p99", "ms", single(p99))
		default:
			highest = highest.highest(last)
		}
	}
	t.addUsage(streamSoakSection, "after the tenth round, compared with the highest of those before", highest, last,
		ratioBelow(1.1))
	return nil
}

// soakIdle opens streams without events, measures what they cost, and checks that each still receives a line.
func (m *streamMeter) soakIdle(ctx context.Context, t *table, before usage) error {
	streams := &idleSet{}
	defer streams.close()
	if err := streams.dial(ctx, m.service.url+"/v1/stream/tasks", idleStreams); err != nil {
		return err
	}
	backoff.Sleep(ctx, m.system.cfg.load/20)
	open, err := m.service.usage(ctx)
	if err != nil {
		return err
	}
	t.addUsage(streamSoakSection, "10,000 idle streams, compared with none", before, open)
	t.add(streamSoakSection, "memory of one of them", "KiB",
		single((open.memory-before.memory)/1024/float64(idleStreams)))
	received := streams.readLine()
	start := time.Now()
	if err := m.system.sendBatch(ctx, []string{taskEvent(1, 1, idleVersion, "STOPPED", timestamp())}); err != nil {
		return err
	}
	err = awaitArrival(ctx, "a line on each stream", func() bool { return received.Load() == idleStreams })
	if err != nil {
		return fmt.Errorf("%d of %d streams: %w", received.Load(), idleStreams, err)
	}
	t.add(streamSoakSection, "from an event to its line on all of them", "ms",
		single(time.Since(start).Seconds()*1000))
	return nil
}

// idleSet is a set of open streams.
type idleSet struct {
	reading sync.WaitGroup

	mu   sync.Mutex
	open []*connection
}

// dial opens streams.
func (s *idleSet) dial(ctx context.Context, url string, count int) error {
	var dialing errgroup.Group
	dialing.SetLimit(32)
	for range count {
		dialing.Go(func() error {
			c, err := dial(ctx, url)
			if err != nil {
				return err
			}
			c.reader = bufio.NewReaderSize(c.Conn, 4<<10) // there are many
			s.mu.Lock()
			s.open = append(s.open, c)
			s.mu.Unlock()
			_, _, err = c.readHead()
			return err
		})
	}
	if err := dialing.Wait(); err != nil {
		return fmt.Errorf("after %d streams: %w", len(s.open), err)
	}
	return nil
}

// readLine starts to read one line of each stream. The counter counts the streams that have received it.
func (s *idleSet) readLine() *atomic.Int64 {
	received := &atomic.Int64{}
	for _, c := range s.open {
		s.reading.Go(func() {
			if bufio.NewScanner(httputil.NewChunkedReader(c.reader)).Scan() {
				received.Add(1)
			}
		})
	}
	return received
}

// close ends all streams and returns when their readers have ended.
func (s *idleSet) close() {
	for _, c := range s.open {
		_ = c.Close()
	}
	s.reading.Wait()
}
