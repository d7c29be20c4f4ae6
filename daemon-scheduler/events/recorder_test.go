package events_test

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
	"github.com/blox/blox/daemon-scheduler/events"
)

// paper is what is written to; the store is tested on etcd.
type paper struct {
	mu      sync.Mutex
	batches map[string][]environment.Event
	writes  int
	down    bool
}

func (p *paper) Record(ctx context.Context, id string, list []environment.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	if p.down || ctx.Err() != nil {
		return errors.New("down")
	}
	p.batches[id] = append([]environment.Event{}, list...)
	return nil
}

// seen is how often was written, and what there is.
func (p *paper) seen() (writes int, batches [][]environment.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes, slices.Collect(maps.Values(p.batches))
}

// sum is how many instances all the events of an action are about, and in how many events.
func (p *paper) sum(action environment.EventAction) (instances, events int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, of := range p.batches {
		for _, d := range of {
			if d.Action == action {
				instances += d.Count
				events++
			}
		}
	}
	return instances, events
}

func run(t *testing.T, test func(p *paper, j *events.Journal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := logrus.New()
		log.SetOutput(io.Discard)
		p := &paper{batches: map[string][]environment.Event{}}
		j := events.New(p, log)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { assert.NoError(t, j.Run(ctx)) })
		test(p, j)
		cancel()
		running.Wait()
	})
}

func started(deployment, instance string) environment.Event {
	return environment.Event{
		LastSeenAt: time.Now(), Action: environment.EventTaskStarted, Environment: "logs", Deployment: deployment, Reason: "none there", Count: 1,
		Instances: []environment.EventInstance{{Instance: instance}},
	}
}

func TestWhatIsAlikeIsOneEventAndOneWriteASecond(t *testing.T) {
	run(t, func(p *paper, j *events.Journal) {
		for n := range 5000 { // in 25 s
			j.Note(started("d1", fmt.Sprint("i-", n)))
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		instances, events := p.sum(environment.EventTaskStarted)
		assert.Equal(t, 5000, instances)
		assert.Equal(t, 1, events)
		writes, batches := p.seen()
		assert.LessOrEqual(t, writes, 28)
		for _, of := range batches {
			assert.Len(t, of[0].Instances, 10)
			assert.Equal(t, "i-4999", of[0].Instances[9].Instance)
			assert.True(t, of[0].FirstSeenAt.Before(of[0].LastSeenAt))
		}
	})
}

func TestAQuietJournalWritesNothing(t *testing.T) {
	run(t, func(p *paper, j *events.Journal) {
		j.Note(started("d1", "i-1"))
		time.Sleep(24 * time.Hour)
		writes, _ := p.seen()
		assert.Equal(t, 1, writes)
	})
}

func TestOldAndFullBatchesAreLeftAsTheyAre(t *testing.T) {
	run(t, func(p *paper, j *events.Journal) {
		j.Note(started("d1", "i-1"))
		time.Sleep(time.Minute)
		j.Note(started("d1", "i-2"))
		time.Sleep(time.Minute)
		_, batches := p.seen()
		assert.Len(t, batches, 2)
		for n := range 50 {
			j.Note(started(fmt.Sprint("d", n), "i-1"))
		}
		time.Sleep(time.Minute)
		_, batches = p.seen()
		assert.Len(t, batches, 5)
		for _, of := range batches {
			assert.LessOrEqual(t, len(of), 20)
		}
	})
}

// While nothing can be written little is kept; what is left out is counted.
func TestItIsBoundedWhileTheStoreIsAway(t *testing.T) {
	run(t, func(p *paper, j *events.Journal) {
		p.mu.Lock()
		p.down = true
		p.mu.Unlock()
		for n := range 1000 {
			j.Note(started(fmt.Sprint("d", n), "i-1"))
		}
		time.Sleep(10 * time.Minute)
		p.mu.Lock()
		assert.Less(t, p.writes, 30, "later and later")
		p.down = false
		p.mu.Unlock()
		time.Sleep(10 * time.Minute)
		kept, _ := p.sum(environment.EventTaskStarted)
		left, _ := p.sum(environment.EventsDropped)
		assert.Equal(t, 1000, kept+left)
		assert.Less(t, kept, 250)
	})
}

func TestTheLastIsWrittenAtTheEnd(t *testing.T) {
	var seen *paper
	run(t, func(p *paper, j *events.Journal) {
		seen = p
		j.Note(started("d1", "i-1"))
		time.Sleep(100 * time.Millisecond)
		j.Note(started("d1", "i-2")) // within the pause after the first
	})
	instances, _ := seen.sum(environment.EventTaskStarted)
	assert.Equal(t, 2, instances)
}

func TestLongTextsAreCut(t *testing.T) {
	run(t, func(p *paper, j *events.Journal) {
		d := started("d1", "i-1")
		d.Detail = strings.Repeat("ä", 10_000)
		j.Note(d)
		time.Sleep(time.Minute)
		_, batches := p.seen()
		for _, of := range batches {
			assert.Less(t, len(of[0].Detail), 310)
			assert.True(t, strings.HasSuffix(of[0].Detail, "ä…"))
		}
	})
}

func TestAllThatWaitsIsWrittenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &paper{batches: map[string][]environment.Event{}}
		log := logrus.New()
		log.SetOutput(io.Discard)
		j := events.New(p, log)
		for n := range 50 {
			j.Note(started(fmt.Sprint("d", n), "i"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.NoError(t, j.Run(ctx))
		instances, events := p.sum(environment.EventTaskStarted)
		assert.Equal(t, []int{50, 50}, []int{instances, events})
	})
}
