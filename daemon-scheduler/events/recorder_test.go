package events

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// fakeWriter holds the batches in memory.
type fakeWriter struct {
	mu      sync.Mutex
	batches map[string][]environment.Event
	writes  int
	down    bool
}

func (w *fakeWriter) Record(ctx context.Context, b *Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	if w.down || ctx.Err() != nil {
		return errors.New("down")
	}
	b.setRevision(int64(w.writes))
	w.batches[b.ID] = append([]environment.Event{}, b.Events...)
	return nil
}

// written returns the number of writes, and the batches.
func (w *fakeWriter) written() (writes int, batches [][]environment.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes, slices.Collect(maps.Values(w.batches))
}

// sum returns how many instances the events of an action are about, and the number of events.
func (w *fakeWriter) sum(action environment.EventAction) (instances, events int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, of := range w.batches {
		for _, d := range of {
			if d.Action == action {
				instances += d.Count
				events++
			}
		}
	}
	return instances, events
}

func run(t *testing.T, test func(w *fakeWriter, r *Recorder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := logrus.New()
		log.SetOutput(io.Discard)
		w := &fakeWriter{batches: map[string][]environment.Event{}}
		r := NewRecorder(w, log)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { assert.NoError(t, r.Run(ctx)) })
		test(w, r)
		cancel()
		running.Wait()
	})
}

func started(deployment, instance string) environment.Event {
	return environment.Event{
		LastSeenAt: time.Now(), Action: environment.EventTaskStarted, Environment: "logs", Deployment: deployment,
		Reason: "no task", Count: 1,
		Instances: []environment.EventInstance{{Instance: instance}},
	}
}

func TestRecorder_MergesSimilarEventsAndWritesOnceASecond(t *testing.T) {
	run(t, func(w *fakeWriter, r *Recorder) {
		for n := range 5000 { // in 25 s
			r.Record(started("d1", fmt.Sprint("i-", n)))
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		instances, events := w.sum(environment.EventTaskStarted)
		assert.Equal(t, 5000, instances)
		assert.Equal(t, 1, events)
		writes, batches := w.written()
		assert.LessOrEqual(t, writes, 28)
		for _, of := range batches {
			assert.Len(t, of[0].Instances, 10)
			assert.Equal(t, "i-4999", of[0].Instances[9].Instance)
			assert.True(t, of[0].FirstSeenAt.Before(of[0].LastSeenAt))
		}
	})
}

func TestRecorder_WritesNothingWithoutEvents(t *testing.T) {
	run(t, func(w *fakeWriter, r *Recorder) {
		r.Record(started("d1", "i-1"))
		time.Sleep(24 * time.Hour)
		writes, _ := w.written()
		assert.Equal(t, 1, writes)
	})
}

func TestRecorder_StartsABatchWhenTheLastIsOldOrFull(t *testing.T) {
	run(t, func(w *fakeWriter, r *Recorder) {
		r.Record(started("d1", "i-1"))
		time.Sleep(time.Minute)
		r.Record(started("d1", "i-2"))
		time.Sleep(time.Minute)
		_, batches := w.written()
		assert.Len(t, batches, 2)
		for n := range 50 {
			r.Record(started(fmt.Sprint("d", n), "i-1"))
		}
		time.Sleep(time.Minute)
		_, batches = w.written()
		assert.Len(t, batches, 5)
		for _, of := range batches {
			assert.LessOrEqual(t, len(of), 20)
		}
	})
}

func TestRecorder_CountsDroppedEventsWhileTheStoreFails(t *testing.T) {
	run(t, func(w *fakeWriter, r *Recorder) {
		w.mu.Lock()
		w.down = true
		w.mu.Unlock()
		for n := range 1000 {
			r.Record(started(fmt.Sprint("d", n), "i-1"))
		}
		time.Sleep(10 * time.Minute)
		w.mu.Lock()
		assert.Less(t, w.writes, 30, "it backs off")
		w.down = false
		w.mu.Unlock()
		time.Sleep(10 * time.Minute)
		recorded, _ := w.sum(environment.EventTaskStarted)
		dropped, _ := w.sum(environment.EventsDropped)
		assert.Equal(t, 1000, recorded+dropped)
		assert.Less(t, recorded, 250)
	})
}

func TestRecorder_KeepsChangesWhileManyEventsOfTasksWait(t *testing.T) {
	run(t, func(w *fakeWriter, r *Recorder) {
		w.mu.Lock()
		w.down = true
		w.mu.Unlock()
		for n := range 1000 {
			r.Record(started(fmt.Sprint("d", n), "i-1"))
		}
		r.Record(environment.Event{
			LastSeenAt: time.Now(), Action: environment.EventEnvironmentPaused, Environment: "logs", Actor: "alice",
		})
		time.Sleep(time.Minute)
		w.mu.Lock()
		w.down = false
		w.mu.Unlock()
		time.Sleep(10 * time.Minute)
		_, paused := w.sum(environment.EventEnvironmentPaused)
		assert.Equal(t, 1, paused)
	})
}

func TestRecorder_WritesTheLastEventBeforeItStops(t *testing.T) {
	var last *fakeWriter
	run(t, func(w *fakeWriter, r *Recorder) {
		last = w
		r.Record(started("d1", "i-1"))
		time.Sleep(100 * time.Millisecond)
		r.Record(started("d1", "i-2")) // before the next write
	})
	instances, _ := last.sum(environment.EventTaskStarted)
	assert.Equal(t, 2, instances)
}

func TestRecorder_TruncatesLongTexts(t *testing.T) {
	run(t, func(w *fakeWriter, r *Recorder) {
		d := started("d1", "i-1")
		d.Detail = strings.Repeat("ä", 10_000)
		r.Record(d)
		time.Sleep(time.Minute)
		_, batches := w.written()
		for _, of := range batches {
			assert.Less(t, len(of[0].Detail), 310)
			assert.True(t, strings.HasSuffix(of[0].Detail, "ä…"))
		}
	})
}

func TestRecorder_WritesAllPendingEventsBeforeItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &fakeWriter{batches: map[string][]environment.Event{}}
		log := logrus.New()
		log.SetOutput(io.Discard)
		r := NewRecorder(w, log)
		for n := range 50 {
			r.Record(started(fmt.Sprint("d", n), "i"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.NoError(t, r.Run(ctx))
		instances, events := w.sum(environment.EventTaskStarted)
		assert.Equal(t, []int{50, 50}, []int{instances, events})
	})
}
