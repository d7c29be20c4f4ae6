package ratelimit

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/time/rate"
)

// firstReconciliation makes the calls of the first reconciliation of 100 clusters, while others call AWS at a rate. A
// throttled call is repeated. It returns the time that this takes and the number of throttled calls.
func firstReconciliation(others float64) (took time.Duration, throttled int) {
	const callers, calls, latency = 8, 500, 20 * time.Millisecond
	b := ResourceReads
	limiter, bucket := New(b, .8), rate.NewLimiter(rate.Limit(b.Rate), int(b.Burst))
	ctx, cancel := context.WithCancel(context.Background())
	var ours, theirs sync.WaitGroup
	if others > 0 {
		theirs.Go(func() {
			for pace := rate.NewLimiter(rate.Limit(others), 1); pace.Wait(ctx) == nil; {
				bucket.Allow()
			}
		})
	}
	start := time.Now()
	var mu sync.Mutex
	left := calls
	for range callers {
		ours.Go(func() {
			for limiter.Wait(ctx, High) == nil {
				time.Sleep(latency)
				mu.Lock()
				if bucket.Allow() {
					left--
				} else {
					throttled++
					limiter.Throttled()
				}
				ended := left < callers // the others are on their way
				mu.Unlock()
				if ended {
					return
				}
			}
		})
	}
	ours.Wait()
	took = time.Since(start)
	cancel()
	theirs.Wait()
	return took, throttled
}

// Without others, 500 calls take 20 s. A limiter that is as fast then cannot know of others before their calls and its
// own have emptied the bucket, so one throttled call is the least.
func TestLimiter_LearnsOfOthersFromOneThrottledCall(t *testing.T) {
	for name, want := range map[string]struct {
		others    float64
		throttled int
	}{"alone": {0, 0}, "others use a quarter": {5, 1}, "others use half": {10, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, throttled := firstReconciliation(want.others)
				assert.LessOrEqual(t, throttled, want.throttled)
				least := 400 / (ResourceReads.Rate - want.others)
				assert.Less(t, took.Seconds(), 1.15*least, "a time near the least that the bucket allows")
			})
		})
	}
}

// A few calls of others that come together must not slow a deployment down for long.
func TestLimiter_LeavesOthersWhatTheyHaveTaken(t *testing.T) {
	for name, want := range map[string]struct{ taken, rate float64 }{
		"AWS throttles early": {0, 36}, "some calls": {50, 31.5}, "many calls": {1000, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(Modifications, 1)
				for start := time.Now(); time.Since(start) < 10*time.Second; {
					assert.NoError(t, l.Wait(t.Context(), High))
				}
				l.alone = want.taken // AWS's bucket has had so many more tokens than this limiter took
				l.Throttled()
				now, _ := l.state()
				assert.InDelta(t, want.rate, now, .5)
				time.Sleep(holdTime)
				held, _ := l.state()
				assert.InDelta(t, now, held, 1e-9)
				time.Sleep(time.Minute)
				grown, _ := l.state()
				assert.InDelta(t, min(now+60*carefulIncrease*40, 40), grown, 1e-6)
			})
		})
	}
}
