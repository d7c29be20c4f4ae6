package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// vitals are what a service uses.
type vitals struct{ memory, goroutines, files float64 }

// vitals asks the service itself.
func (s *service) vitals() (v vitals, err error) {
	answer, err := http.Get(s.url + "/metrics")
	if err != nil {
		return v, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return v, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		into := map[string]*float64{
			"process_resident_memory_bytes": &v.memory, "go_goroutines": &v.goroutines, "process_open_fds": &v.files,
		}[name]
		if into != nil {
			if *into, err = strconv.ParseFloat(value, 64); err != nil {
				return v, err
			}
		}
	}
	return v, nil
}

func single(v float64) []pair { return []pair{{v, math.NaN()}} }

// addVitals adds rows of what a service used in two situations, the ratio being what changed.
func (t *table) addVitals(section, what string, before, after vitals, goals ...goal) {
	t.add(row{section, what + ": resident memory; before", "MiB", []pair{{after.memory / mib, before.memory / mib}}, goals})
	t.add(row{section, what + ": goroutines; before", "", []pair{{after.goroutines, before.goroutines}}, nil})
	t.add(row{section, what + ": descriptors; before", "", []pair{{after.files, before.files}}, nil})
}

func ratioBelow(bound float64) goal {
	return goal{fmt.Sprintf("ratio < %.2f", bound), func(_, ratio float64) bool { return ratio < bound }}
}

// witness is a good client, that asks every 10 ms and looks at what it gets.
type witness struct {
	took  []time.Duration
	wrong error // the first answer that was not as it should be
	stop  func()
}

// witness asks for path until stop, which every answer must be right about.
func (s *service) witness(path string, right func(status int, body []byte) error) *witness {
	w := &witness{}
	ctx, cancel := context.WithCancel(context.Background())
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableCompression: true}}
	var asking sync.WaitGroup
	asking.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			began := time.Now()
			answer, err := client.Get(s.url + path)
			if err == nil {
				var body []byte
				body, err = io.ReadAll(answer.Body)
				err = errors.Join(err, answer.Body.Close(), right(answer.StatusCode, body))
			}
			w.took = append(w.took, time.Since(began))
			if err != nil && w.wrong == nil {
				w.wrong = err
			}
		}
	})
	w.stop = sync.OnceFunc(func() { cancel(); asking.Wait(); client.CloseIdleConnections() })
	return w
}

// has is right about an answer of 200 with the text in it.
func has(text string) func(int, []byte) error {
	return func(status int, body []byte) error {
		if status != http.StatusOK || !strings.Contains(string(body), text) {
			return fmt.Errorf("answer %d: %.200s", status, body)
		}
		return nil
	}
}

// addWitness ends the witness and adds what it saw. A wrong answer is an error.
func (t *table) addWitness(section, what string, w *witness) error {
	w.stop()
	if w.wrong != nil {
		return fmt.Errorf("%s: a good client got %w", what, w.wrong)
	}
	p50, p99 := percentiles(w.took)
	t.add(row{section, fmt.Sprintf("%s: a good client's get, p50 of %d", what, len(w.took)), "ms", single(p50), nil})
	t.add(row{section, what + ": the same, p99", "ms", single(p99), nil})
	return nil
}

const (
	enduring = 10_000 // tasks that the events are about
	backlog  = 20_000 // events in the queue, at which the sender waits
)

// endure has as many events ingested as can be for the time given, always about the same tasks: what the service uses after a
// fifth of it is what it uses at the end.
func endure(ctx context.Context, cfg config, t *table) error {
	const section = "load-events"
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

	var version atomic.Int64 // that all tasks have been sent in
	round := func(ctx context.Context) error {
		next := int(version.Add(1))
		var sending errgroup.Group
		sending.SetLimit(4)
		for from := 0; from < enduring && ctx.Err() == nil; from += 10 {
			sending.Go(func() error {
				events := make([]string, 10)
				for i := range events {
					n := from + i
					events[i] = task(n, n, next, "RUNNING", "bench")
				}
				return w.sendBatch(ctx, events)
			})
		}
		return sending.Wait()
	}
	if err := round(ctx); err != nil {
		return err
	}
	if err := w.emptied(s, backlog/100); err != nil {
		return err
	}
	good := s.witness("/v1/tasks?cluster="+clusterName(7)+"&limit=1", has(`"items":[{`))
	defer good.stop()
	began, marks := time.Now(), []time.Duration{cfg.load / 5, cfg.load * 3 / 5, cfg.load}
	var seen []vitals
	var sizes []float64
	for first := version.Load(); len(marks) > 0; {
		if err := round(ctx); err != nil {
			return err
		}
		if err := w.emptied(s, backlog); err != nil {
			return err
		}
		if time.Since(began) < marks[0] {
			continue
		}
		marks = marks[1:]
		v, err := s.vitals()
		if err != nil {
			return err
		}
		size, err := w.etcdSize()
		if err != nil {
			return err
		}
		seen, sizes = append(seen, v), append(sizes, size)
		if len(marks) == 0 {
			rate := float64(version.Load()-first) * enduring / time.Since(began).Seconds()
			t.add(row{section, "events of 2 kB through SQS into etcd, " + cfg.load.String(), "events/s", single(rate), nil})
		}
	}
	if err := w.emptied(s, 0); err != nil {
		return err
	}
	t.addVitals(section, "after "+cfg.load.String()+", and after a fifth", seen[0], seen[2], ratioBelow(1.2))
	t.add(row{section, "etcd's file: after " + cfg.load.String() + ", and after three fifths, when history has been compacted", "MiB",
		[]pair{{sizes[2] / mib, sizes[1] / mib}}, []goal{ratioBelow(1.2)}})
	if err := t.addWitness(section, "meanwhile", good); err != nil {
		return err
	}
	return w.allAt(version.Load())
}

// emptied waits until there are no more than so many events in the queue.
func (w *world) emptied(s *service, most int) error {
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left, err := w.queued()
		if err != nil || left <= most {
			return err
		}
		if time.Now().After(deadline) || w.ctx.Err() != nil {
			return fmt.Errorf("%d events are left: %s", left, s.output)
		}
	}
}

// etcdSize is that of its file, in bytes.
func (w *world) etcdSize() (float64, error) {
	status, err := w.etcd.Status(w.ctx, w.etcdAddress)
	if err != nil {
		return 0, err
	}
	return float64(status.DbSize), nil
}

// allAt tells whether etcd has every task in that version, and none twice.
func (w *world) allAt(version int64) error {
	want := `"version": ` + strconv.FormatInt(version, 10)
	for n := 0; n < enduring; n += 97 {
		got, err := w.etcd.Get(w.ctx, taskKey(n, n))
		if err != nil {
			return err
		}
		if len(got.Kvs) != 1 || !strings.Contains(strings.ReplaceAll(string(got.Kvs[0].Value), `"version":`+strconv.FormatInt(version, 10), want), want) {
			return fmt.Errorf("task %d is not at version %d: %.3000s", n, version, got.Kvs)
		}
	}
	count, err := w.etcd.Get(w.ctx, "ecs/task/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err == nil && count.Count != enduring {
		err = fmt.Errorf("%d tasks are stored of %d", count.Count, enduring)
	}
	return err
}

// crowd holds streams open: many that are idle, and many that are not.
func crowd(ctx context.Context, cfg config, t *table) error {
	const section = "load-streams"
	w, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	defer w.close()
	if _, err := seed(ctx, w.etcd, 1000, 1000); err != nil {
		return err
	}
	s, err := w.service()
	if err != nil {
		return err
	}
	defer s.stop()
	m := &streamMeter{world: w, service: s, version: 1_000_000}
	alone, err := s.vitals()
	if err != nil {
		return err
	}
	good := s.witness("/v1/tasks?cluster="+clusterName(1)+"&limit=1", has(`"items":[{`))
	if err := idleStreams(m, t, section, 10_000, alone); err != nil {
		good.stop()
		return err
	}
	if err := t.addWitness(section, "with 10,000 idle streams", good); err != nil {
		return err
	}

	good = s.witness("/v1/tasks?cluster="+clusterName(1)+"&limit=1", has(`"items":[{`))
	defer good.stop()
	m.cfg.time = cfg.load / 60
	var at [10]vitals
	var most vitals // of all but the last, and the first, which is after the idle ones
	for i := range at {
		took, rate, err := m.lines(1000, false, pace{"200 events/s", 50 * time.Millisecond, 10})
		if err != nil {
			return err
		}
		if at[i], err = s.vitals(); err != nil {
			return err
		}
		p50, p99 := percentiles(took)
		if i > 0 && i < len(at)-1 {
			most = vitals{max(most.memory, at[i].memory), max(most.goroutines, at[i].goroutines), max(most.files, at[i].files)}
		}
		if i == len(at)-1 {
			t.add(row{section, fmt.Sprintf("1,000 streams, %.0f events/s for %s: event to line, p50", rate, m.cfg.time), "ms", single(p50), nil})
			t.add(row{section, "the same, p99", "ms", single(p99), nil})
		}
	}
	t.addVitals(section, "the tenth time, and the most in those before", most, at[9], ratioBelow(1.1))
	return t.addWitness(section, "with 1,000 active streams", good)
}

// idleStreams opens streams on which nothing happens, sees that each still gets a line, and what they cost.
func idleStreams(m *streamMeter, t *table, section string, n int, alone vitals) error {
	var mu sync.Mutex
	var open []*connection
	var reading sync.WaitGroup
	defer reading.Wait()
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	var dialing errgroup.Group
	dialing.SetLimit(32)
	for range n {
		dialing.Go(func() error {
			c, err := dial(m.service.url + "/v1/stream/tasks")
			if err != nil {
				return err
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			c.reader = bufio.NewReaderSize(c.Conn, 4<<10)
			_, err = c.ask()
			return err
		})
	}
	if err := dialing.Wait(); err != nil {
		return fmt.Errorf("after %d streams: %w", len(open), err)
	}
	time.Sleep(m.cfg.load / 20)
	full, err := m.service.vitals()
	if err != nil {
		return err
	}
	t.addVitals(section, fmt.Sprintf("%d idle streams", n), alone, full)
	t.add(row{section, "memory of one of them", "KiB", single((full.memory - alone.memory) / 1024 / float64(n)), nil})
	var told atomic.Int64
	for _, c := range open {
		reading.Go(func() {
			if bufio.NewScanner(httputil.NewChunkedReader(c.reader)).Scan() {
				told.Add(1)
			}
		})
	}
	began := time.Now()
	if err := m.sendBatch(m.ctx, []string{task(1, 1, 500_000, "STOPPED", stamp())}); err != nil {
		return err
	}
	if err := m.await("a line on each stream", func() bool { return told.Load() == int64(n) }); err != nil {
		return fmt.Errorf("%d of %d: %w", told.Load(), n, err)
	}
	t.add(row{section, "from an event to its line on all of them", "ms", single(time.Since(began).Seconds() * 1000), nil})
	return nil
}
