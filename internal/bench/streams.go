package bench

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"
)

// eventRate is how often events are sent, and how many at once.
type eventRate struct {
	name     string
	interval time.Duration
	batch    int
}

var (
	lowRate  = eventRate{"idle", 25 * time.Millisecond, 1}
	highRate = eventRate{"1000 events/s", 10 * time.Millisecond, 10}
)

// minHighRate is the rate below which the table says that the load generator was too slow, in events per second.
const minHighRate = 950

// streamCase is one combination of subscribers and events.
type streamCase struct {
	subscribers int
	filtered    bool // each subscriber receives one of 100 clusters
	rate        eventRate
	p50, p99    []target
}

func streamCases() []streamCase {
	return []streamCase{
		{1, false, lowRate, []target{below("< 3 ms", 3)}, nil},
		{100, false, lowRate, nil, nil},
		{1000, false, lowRate, nil, nil},
		{1, false, highRate, nil, nil},
		{100, false, highRate, nil, nil},
		{1000, true, highRate, nil, nil},
	}
}

// measureStreams measures the time from just before an event is sent to the queue until its line arrives. The baseline
// is the time from just before a put into etcd until a watcher receives it, at the same rate.
func measureStreams(ctx context.Context, cfg config, t *table) error {
	m, err := newStreamMeter(ctx, cfg)
	if err != nil {
		return err
	}
	defer m.system.close()
	for _, c := range streamCases() {
		if err := m.measure(ctx, c, t); err != nil {
			return fmt.Errorf("%d subscribers, %s: %w", c.subscribers, c.rate.name, err)
		}
	}
	return nil
}

// newStreamMeter starts a system whose service has an instance and no tasks. The caller closes the system.
func newStreamMeter(ctx context.Context, cfg config) (*streamMeter, error) {
	s, err := newSystem(ctx, cfg)
	if err != nil {
		return nil, err
	}
	_, err = seed(ctx, s.etcd, 0, 1)
	var css *service
	if err == nil {
		css, err = s.startClusterState(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return &streamMeter{system: s, service: css, duration: cfg.duration}, nil
}

// measureStreamsOfAll compares streams of everything with a server that only writes the same lines, in turn. The
// clients discard most of them.
func measureStreamsOfAll(ctx context.Context, cfg config, t *table) error {
	const subscribers, limit = 1000, 50.0 // the limit in milliseconds
	m, err := newStreamMeter(ctx, cfg)
	if err != nil {
		return err
	}
	defer m.system.close()
	if _, _, _, err := m.lines(ctx, 1, false, lowRate); err != nil { // the baseline writes lines as long as these
		return err
	}
	bare, err := m.system.startLinesBaseline(ctx, m.service)
	if err != nil {
		return err
	}
	defer bare.stop()
	var latencies latencySamples
	var servers, clients []sample
	lowest := math.Inf(1)
	for run := range cfg.runs + 1 {
		baseline, bareCost, err := m.bareLines(ctx, bare, subscribers)
		if err != nil {
			return err
		}
		measured, sent, cost, err := m.lines(ctx, subscribers, false, highRate)
		if err != nil {
			return err
		}
		if run == 0 { // it warms up
			continue
		}
		latencies.add(measured, baseline)
		servers = append(servers, sample{cost.server, bareCost.server})
		clients = append(clients, sample{cost.clients, bareCost.clients})
		lowest = min(lowest, sent)
	}
	const section = "streams-of-all"
	name := "event to line, 1000 subscribers, 1000 events/s" + tooSlow(lowest)
	t.add(section, name+", p50", "ms", latencies.p50)
	if _, bound, _ := (row{samples: latencies.p99}).medians(); bound >= limit {
		name += fmt.Sprintf(" (a server that only writes the lines needs %.0f ms)", bound)
	}
	t.add(section, name+", p99", "ms", latencies.p99, below("< 50 ms", limit))
	t.addBound("the same, server's CPU time for a million lines", "s", servers, ratioBelow(1/0.75))
	t.add(section, "the same, clients' CPU time for a million lines", "s", clients)
	return nil
}

// tooSlow is a remark in the table if events were sent too slowly at highRate.
func tooSlow(sent float64) string {
	if sent >= minHighRate {
		return ""
	}
	return fmt.Sprintf(" (only %.0f were sent)", sent)
}

func (m *streamMeter) measure(ctx context.Context, c streamCase, t *table) error {
	var latencies latencySamples
	lowest := math.Inf(1)
	for run := range m.system.cfg.runs + 1 {
		baseline, err := m.watchBaseline(ctx, c.rate)
		if err != nil {
			return err
		}
		measured, sent, _, err := m.lines(ctx, c.subscribers, c.filtered, c.rate)
		if err != nil {
			return err
		}
		if run == 0 { // it warms up
			continue
		}
		latencies.add(measured, baseline)
		lowest = min(lowest, sent)
	}
	subscribers := strconv.Itoa(c.subscribers) + " subscribers"
	if c.subscribers == 1 {
		subscribers = "1 subscriber"
	}
	if c.filtered {
		subscribers += " of one of 100 clusters each"
	}
	name := fmt.Sprintf("event to line, %s, %s", subscribers, c.rate.name)
	if c.rate == highRate {
		name += tooSlow(lowest)
	}
	t.add("streams", name+", p50", "ms", latencies.p50, c.p50...)
	t.add("streams", name+", p99", "ms", latencies.p99, c.p99...)
	return nil
}
