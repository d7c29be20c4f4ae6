package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http/httputil"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/backoff"
)

const (
	streamedTasks   = 1000 // tasks that the events describe
	streamClusters  = 100
	tasksPerCluster = streamedTasks / streamClusters
	// timedSubscribers is how many subscribers decode their lines; the others discard them to save CPU time.
	timedSubscribers = 20
	// versionStep exceeds the number of events of one call of lines, so that versions always increase.
	versionStep = 1_000_000
)

// streamMeter measures the latency of a service's streams.
type streamMeter struct {
	system   *system
	service  *service
	duration time.Duration // of one measurement
	version  int           // exceeds that of every event sent
}

// instanceOf returns the instance of a streamed task. Each cluster has tasksPerCluster of these tasks.
func instanceOf(task int) int { return task * instancesPerCluster / tasksPerCluster }

// timestamp returns the current time in a form that fits startedBy, which events and stream lines both carry.
func timestamp() string { return timestampOf(time.Now()) }

func timestampOf(t time.Time) string { return "t" + strconv.FormatInt(t.UnixNano(), 10) }

var timestampPrefix = []byte(`"startedBy":"t`)

// elapsed returns the time from an event's timestamp to now.
func elapsed(line []byte, now time.Time) (time.Duration, bool) {
	_, rest, found := bytes.Cut(line, timestampPrefix)
	digits, _, ended := bytes.Cut(rest, []byte(`"`))
	nanoseconds, err := strconv.ParseInt(string(digits), 10, 64)
	return now.Sub(time.Unix(0, nanoseconds)), found && ended && err == nil
}

// repeat calls send at the rate for the meter's duration. Up to eight calls overlap if they are slow. It returns the
// events per second.
func (m *streamMeter) repeat(ctx context.Context, r eventRate, send func(context.Context, int) error) (float64, error) {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(8)
	start := time.Now()
	number := 0
	for ; time.Since(start) < m.duration && ctx.Err() == nil; number++ {
		time.Sleep(time.Until(start.Add(time.Duration(number) * r.interval))) // returns at once after a late call
		n := number
		work.Go(func() error { return send(ctx, n) })
	}
	return float64(number*r.batch) / time.Since(start).Seconds(), work.Wait()
}

// awaitArrival waits until everything sent has arrived.
func awaitArrival(ctx context.Context, what string, arrived func() bool) error {
	return poll(ctx, 30*time.Second, time.Millisecond, what, func() (bool, error) { return arrived(), nil })
}

// lineCost is the CPU time for a million lines, in seconds.
type lineCost struct{ server, clients float64 }

// linesSince returns a function that returns the cost of the lines since the call.
func linesSince(server *service, s *subscribers) func() lineCost {
	serverBefore, clientsBefore, before := server.cpu(), ownCPUTime(), s.lines[0].Load()
	return func() lineCost {
		millions := float64((s.lines[0].Load()-before)*int64(len(s.open))) / 1e6
		return lineCost{(server.cpu() - serverBefore) / millions, (ownCPUTime() - clientsBefore) / millions}
	}
}

// lines returns the time from each event to each line of it, and the events sent per second. cost includes that of the
// events.
func (m *streamMeter) lines(ctx context.Context, count int, filtered bool, r eventRate) (
	latencies []time.Duration, rate float64, cost lineCost, err error,
) {
	s := &subscribers{filtered: filtered}
	defer s.close()
	for range count {
		if err := s.subscribe(ctx, m.service); err != nil {
			return nil, 0, lineCost{}, err
		}
	}
	var sent [streamClusters]atomic.Int64
	first := m.version
	m.version += versionStep
	total := linesSince(m.service, s)
	rate, err = m.repeat(ctx, r, func(ctx context.Context, number int) error {
		var events []string
		sentAt := timestamp()
		for i := range r.batch {
			k := number*r.batch + i
			n := k % streamedTasks
			events = append(events, taskEvent(n, instanceOf(n), first+k+1, "RUNNING", sentAt))
			sent[n/tasksPerCluster].Add(1)
		}
		return m.system.sendBatch(ctx, events)
	})
	if err != nil {
		return nil, 0, lineCost{}, err
	}
	if err := awaitArrival(ctx, "lines", func() bool { return s.received(&sent) }); err != nil {
		return nil, 0, lineCost{}, fmt.Errorf("%w: %s", err, m.service.Output())
	}
	cost = total()
	s.close()
	return s.latencies, rate, cost, nil
}

// bareLines returns the time from each timestamp to each line of it, of a server that only writes lines.
func (m *streamMeter) bareLines(
	ctx context.Context, server *service, count int,
) (latencies []time.Duration, cost lineCost, err error) {
	s := &subscribers{}
	defer s.close()
	for range count {
		if err := s.subscribe(ctx, server); err != nil {
			return nil, lineCost{}, err
		}
	}
	s.forget()
	total := linesSince(server, s)
	if !backoff.Sleep(ctx, m.duration) {
		return nil, lineCost{}, ctx.Err()
	}
	cost = total()
	s.close()
	return s.latencies, cost, nil
}

// subscribers are clients of a service's stream of tasks.
type subscribers struct {
	filtered bool // subscriber n receives cluster n modulo streamClusters only
	open     []*connection
	reading  sync.WaitGroup
	lines    [timedSubscribers]atomic.Int64 // by subscriber

	mu        sync.Mutex
	latencies []time.Duration
}

// subscribe adds a subscriber.
func (s *subscribers) subscribe(ctx context.Context, css *service) error {
	n := len(s.open)
	url := css.url + "/v1/stream/tasks"
	if s.filtered {
		url += "?cluster=" + clusterName(n%streamClusters)
	}
	c, err := dial(ctx, url)
	if err != nil {
		return err
	}
	s.open = append(s.open, c)
	if _, _, err := c.readHead(); err != nil {
		return err
	}
	if n < timedSubscribers {
		s.reading.Go(func() { s.timeLines(n, c) })
	} else {
		s.reading.Go(func() { discard(c.Conn) })
	}
	return nil
}

func (s *subscribers) timeLines(n int, c *connection) {
	lines := bufio.NewScanner(httputil.NewChunkedReader(c.reader))
	for lines.Scan() {
		if d, ok := elapsed(lines.Bytes(), time.Now()); ok {
			s.mu.Lock()
			s.latencies = append(s.latencies, d)
			s.mu.Unlock()
		}
		s.lines[n].Add(1)
	}
}

// forget drops the latencies so far, during which other subscribers may have connected.
func (s *subscribers) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latencies = nil
}

// received reports whether each timed subscriber has all lines of the events sent, which are counted by cluster.
func (s *subscribers) received(sent *[streamClusters]atomic.Int64) bool {
	for n := range min(len(s.open), timedSubscribers) {
		expected := int64(0)
		for cluster := range sent {
			if !s.filtered || cluster == n%streamClusters {
				expected += sent[cluster].Load()
			}
		}
		if s.lines[n].Load() < expected {
			return false
		}
	}
	return true
}

// close ends all streams and returns when their readers have ended.
func (s *subscribers) close() {
	for _, c := range s.open {
		_ = c.Close()
	}
	s.reading.Wait()
}
