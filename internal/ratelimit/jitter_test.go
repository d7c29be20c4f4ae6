package ratelimit

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/time/rate"
)

// callBucket has concurrent callers spend the tokens of a limiter for a minute. The n-th call reaches AWS's bucket
// after delay(n). It returns the calls that the bucket allowed and throttled.
func callBucket(b Bucket, l *Limiter, delay func(n int) time.Duration) (allowed, throttled int) {
	const callers = 200
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bucket := rate.NewLimiter(rate.Limit(b.Rate), int(b.Burst))
	var mu sync.Mutex
	var callsSent int
	nextDelay := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		callsSent++
		return delay(callsSent)
	}
	var calls sync.WaitGroup
	for range callers {
		calls.Go(func() {
			for l.Wait(ctx, High) == nil {
				time.Sleep(nextDelay())
				ok := bucket.Allow()
				mu.Lock()
				if ok {
					allowed++
				} else {
					throttled++
				}
				mu.Unlock()
				if !ok {
					l.Throttled()
				}
			}
		})
	}
	calls.Wait()
	return allowed, throttled
}

func TestLimiter_IsNotThrottledForTheJitterOfCalls(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for name, delay := range map[string]func(n int) time.Duration{
		"any delay": func(int) time.Duration { return time.Duration(random.Int64N(int64(jitter))) },
		"the first calls arrive last": func(n int) time.Duration {
			if n <= int(Modifications.Burst) {
				return jitter
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := Modifications
				allowed, throttled := callBucket(b, New(b.WithoutJitter(), 1), delay)
				assert.Zero(t, throttled)
				assert.GreaterOrEqual(t, float64(allowed), .95*(b.Burst+60*b.Rate), "it keeps the bucket's pace")
			})
		})
	}
}
