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
		{1000, false, highRate, nil, []target{below("< 50 ms", 50)}},
	}
}

// measureStreams measures the time from just before an event is sent to the queue until its line arrives. The baseline
// is the time from just before a put into etcd until a watcher receives it, at the same rate.
func measureStreams(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := seed(ctx, s.etcd, 0, 1); err != nil {
		return err
	}
	css, err := s.startClusterState(ctx)
	if err != nil {
		return err
	}
	m := &streamMeter{system: s, service: css, duration: cfg.duration}
	for _, c := range streamCases() {
		if err := m.measure(ctx, c, t); err != nil {
			return fmt.Errorf("%d subscribers, %s: %w", c.subscribers, c.rate.name, err)
		}
	}
	return m.measureBound(ctx, t)
}

// measureBound compares streams of everything with a server that only writes the same lines. The clients discard them.
func (m *streamMeter) measureBound(ctx context.Context, t *table) error {
	const subscribers = 1000
	bare, err := m.system.startLinesBaseline(ctx, m.service)
	if err != nil {
		return err
	}
	defer bare.stop()
	var latencies latencySamples
	var costs []sample
	for range m.system.cfg.runs {
		baseline, baselineCost, err := m.bareLines(ctx, bare, subscribers)
		if err != nil {
			return err
		}
		measured, _, cost, err := m.lines(ctx, subscribers, false, highRate)
		if err != nil {
			return err
		}
		latencies.add(measured, baseline)
		costs = append(costs, sample{cost, baselineCost})
	}
	const name = "1000 subscribers, 1000 events/s, beside a server that only writes the lines"
	t.add("streams", name+", p99", "ms", latencies.p99)
	t.add("streams", name+", CPU time for a million lines", "s", costs, ratioBelow(1/0.75))
	return nil
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
	if c.rate == highRate && lowest < minHighRate {
		name += fmt.Sprintf(" (only %.0f were sent)", lowest)
	}
	t.add("streams", name+", p50", "ms", latencies.p50, c.p50...)
	t.add("streams", name+", p99", "ms", latencies.p99, c.p99...)
	return nil
}
