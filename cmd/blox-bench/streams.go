package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// streamed is how many tasks the events are about, ten in each of a hundred clusters.
const streamed = 1000

// pace is how often events are sent, and how many at a time.
type pace struct {
	name  string
	every time.Duration
	batch int
}

var (
	idle = pace{"idle", 25 * time.Millisecond, 1}
	busy = pace{"1000 events/s", 10 * time.Millisecond, 10}
)

// streams measures the time from just before an event is sent to the queue until its line has arrived, beside the time from
// just before a put into etcd until its watch tells of it: one watcher, as many puts.
func streams(ctx context.Context, cfg config, t *table) error {
	w, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	defer w.close()
	if _, err := seed(ctx, w.etcd, 0, 1); err != nil {
		return err
	}
	s, err := w.service()
	if err != nil {
		return err
	}
	defer s.stop()
	m := &streamMeter{world: w, service: s}
	for _, c := range []struct {
		subscribers int
		narrow      bool
		pace        pace
		half, most  []goal
	}{
		{1, false, idle, []goal{below("< 4 ms", 4)}, nil},
		{100, false, idle, nil, nil},
		{1000, false, idle, nil, nil},
		{1, false, busy, nil, nil},
		{100, false, busy, nil, nil},
		{1000, true, busy, nil, nil},
		{1000, false, busy, nil, []goal{below("< 25 ms", 25)}},
	} {
		var p50, p99 []pair
		rate := math.Inf(1)
		for run := range cfg.runs + 1 {
			var half, most pair
			took, err := m.floor(c.pace)
			if err != nil {
				return err
			}
			half.floor, most.floor = percentiles(took)
			took, sent, err := m.lines(c.subscribers, c.narrow, c.pace)
			if err != nil {
				return fmt.Errorf("%d subscribers, %s: %w", c.subscribers, c.pace.name, err)
			}
			half.measured, most.measured = percentiles(took)
			if run > 0 { // the first one is to warm up
				p50, p99, rate = append(p50, half), append(p99, most), min(rate, sent)
			}
		}
		what := fmt.Sprintf("event to line, %s, %s", subscribers(c.subscribers), c.pace.name)
		if c.narrow {
			what = fmt.Sprintf("event to line, %s of one of 100 clusters each, %s", subscribers(c.subscribers), c.pace.name)
		}
		if c.pace == busy && rate < 950 {
			what += fmt.Sprintf(" (only %.0f were sent)", rate)
		}
		t.add(row{"streams", what + ", p50", "ms", p50, c.half})
		t.add(row{"streams", what + ", p99", "ms", p99, c.most})
	}
	return nil
}

type streamMeter struct {
	*world
	service *service
	version int // of the last event
}

// stamp is the time in an event: in what it was started by, which lines show too.
func stamp() string { return "t" + strconv.FormatInt(time.Now().UnixNano(), 10) }

var stamped = []byte(`"startedBy":"t`)

// since reads a stamp.
func since(line []byte, now time.Time) (time.Duration, bool) {
	_, rest, found := bytes.Cut(line, stamped)
	digits, _, ended := bytes.Cut(rest, []byte(`"`))
	at, err := strconv.ParseInt(string(digits), 10, 64)
	return now.Sub(time.Unix(0, at)), found && ended && err == nil
}

// beat calls send as often as the pace says, several at a time when one takes long, and returns how many events a second
// that made.
func (m *streamMeter) beat(p pace, send func(context.Context, int) error) (float64, error) {
	work, ctx := errgroup.WithContext(m.ctx)
	work.SetLimit(8)
	began, beats := time.Now(), 0
	for ; time.Since(began) < m.cfg.time && ctx.Err() == nil; beats++ {
		time.Sleep(time.Until(began.Add(time.Duration(beats) * p.every))) // a late one is followed by the next at once
		number := beats
		work.Go(func() error { return send(ctx, number) })
	}
	return float64(beats*p.batch) / time.Since(began).Seconds(), work.Wait()
}

// floor is how long a put takes to be told of by a watch.
func (m *streamMeter) floor(p pace) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	var took []time.Duration
	var told atomic.Int64
	watch := m.etcd.Watch(ctx, "bench/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	if created := <-watch; created.Err() != nil {
		return nil, created.Err()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for answer := range watch {
			now := time.Now()
			for _, e := range answer.Events {
				if d, ok := since(e.Kv.Value, now); ok {
					took = append(took, d)
				}
				told.Add(1)
			}
		}
	}()
	var put atomic.Int64
	_, err := m.beat(p, func(ctx context.Context, beat int) error {
		var puts []clientv3.Op
		at := stamp()
		for i := range p.batch {
			n := (beat*p.batch + i) % streamed
			puts = append(puts, clientv3.OpPut("bench/"+strconv.Itoa(n), task(n, n*10, 1, "RUNNING", at)))
		}
		put.Add(int64(p.batch))
		_, err := m.etcd.Txn(ctx).Then(puts...).Commit()
		return err
	})
	if err == nil {
		err = m.await("events of the watch", func() bool { return told.Load() == put.Load() })
	}
	cancel()
	<-done
	return took, err
}

func (m *streamMeter) await(what string, done func() bool) error {
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) || m.ctx.Err() != nil {
			return errors.New("not all arrive: " + what)
		}
	}
	return nil
}

// probes is how many subscribers look at their lines; the others only read them.
const probes = 20

// lines is how long events take to become lines.
func (m *streamMeter) lines(subscribers int, narrow bool, p pace) (took []time.Duration, rate float64, err error) {
	var mu sync.Mutex
	var reading sync.WaitGroup
	defer reading.Wait()
	var got [probes]atomic.Int64
	for n := range subscribers {
		address := m.service.url + "/v1/stream/tasks"
		if narrow {
			address += "?cluster=" + clusterName(n%100)
		}
		c, err := dial(address)
		if err != nil {
			return nil, 0, err
		}
		defer c.Close()
		if _, err := c.ask(); err != nil {
			return nil, 0, err
		}
		if n >= probes {
			reading.Go(func() { discard(c.Conn) })
			continue
		}
		reading.Go(func() {
			var mine []time.Duration
			lines := bufio.NewScanner(httputil.NewChunkedReader(c.reader))
			for lines.Scan() {
				if d, ok := since(lines.Bytes(), time.Now()); ok {
					mine = append(mine, d)
				}
				got[n].Add(1)
				mu.Lock()
				took = append(took, mine...)
				mu.Unlock()
				mine = mine[:0]
			}
		})
	}
	var sent [100]atomic.Int64 // by cluster
	first := m.version
	rate, err = m.beat(p, func(ctx context.Context, beat int) error {
		var events []string
		at := stamp()
		for i := range p.batch {
			k := beat*p.batch + i
			n := k % streamed
			events = append(events, task(n, n*10, first+k+1, "RUNNING", at))
			sent[n/10].Add(1)
		}
		return m.sendBatch(ctx, events)
	})
	m.version += 1_000_000
	if err != nil {
		return nil, 0, err
	}
	err = m.await("lines", func() bool {
		for n := range min(subscribers, probes) {
			want := int64(0)
			for cluster := range sent {
				if !narrow || cluster == n%100 {
					want += sent[cluster].Load()
				}
			}
			if got[n].Load() < want {
				return false
			}
		}
		return true
	})
	mu.Lock()
	defer mu.Unlock()
	if err != nil && m.service.output.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(m.service.output.String()))
	}
	return took, rate, err
}

func subscribers(n int) string {
	if n == 1 {
		return "1 subscriber"
	}
	return strconv.Itoa(n) + " subscribers"
}
