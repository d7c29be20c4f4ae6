package ratelimit

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// callsIn10s counts the calls that a limiter allows in ten seconds.
func callsIn10s(t *testing.T, l *Limiter) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for l.Wait(ctx, High) == nil {
		n++
	}
	return n
}

func TestLimiter_GrowsFromItsPartToTheWholeRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Bucket{100, 20}, .8)
		assert.Equal(t, 80, l.Available(1000), "20 calls are left for others")
		n := callsIn10s(t, l)
		assert.InDelta(t, 80+4*18+6*20, n, 2)
		assert.InDelta(t, 10*20, callsIn10s(t, l), 2)
	})
}

func TestLimiter_SlowsDownOnceForAllCallsThatAWSThrottles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Bucket{100, 40}, 1)
		for range 8 {
			l.Throttled()
		}
		rate, throttled := l.state()
		assert.InDelta(t, 20, rate, 0)
		assert.Equal(t, int64(8), throttled)
		assert.Zero(t, l.Available(10), "the bucket is empty")
		assert.InDelta(t, 10*20, callsIn10s(t, l), 3, "it does not grow yet")
		time.Sleep(200 * time.Second)
		rate, _ = l.state()
		assert.InDelta(t, 40, rate, 0)
		for range 100 {
			time.Sleep(decreasePause)
			l.Throttled()
		}
		rate, _ = l.state()
		assert.InDelta(t, 2, rate, .5, "it does not end")
		assert.GreaterOrEqual(t, callsIn10s(t, l), 15)
	})
}

func TestLimiter_ServesUrgentCallsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Bucket{1, 1}, 1)
		require.NoError(t, l.Wait(t.Context(), Low))
		served := make(chan Priority, 10)
		for _, p := range []Priority{Low, Normal, Low, High, Normal, High} {
			go func() {
				assert.NoError(t, l.Wait(t.Context(), p))
				served <- p
			}()
			synctest.Wait()
		}
		start := time.Now()
		for _, want := range []Priority{High, High, Normal, Normal, Low, Low} {
			assert.Equal(t, want, <-served)
		}
		assert.InDelta(t, 6, time.Since(start).Seconds(), .01, "no token is lost")
	})
}

func TestLimiter_ForgetsCallsThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Bucket{1, 1}, 1)
		require.NoError(t, l.Wait(t.Context(), High))
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- l.Wait(ctx, High) }()
		synctest.Wait()
		served := make(chan error, 1)
		go func() { served <- l.Wait(t.Context(), Low) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
		start := time.Now()
		require.NoError(t, <-served)
		assert.InDelta(t, 1, time.Since(start).Seconds(), .01)
		require.ErrorIs(t, l.Wait(ctx, High), context.Canceled)
	})
}

func TestLimiter_NilAllowsEveryCall(t *testing.T) {
	var none *Limiter
	require.NoError(t, none.Wait(t.Context(), High))
	assert.Equal(t, 20, none.Available(20))
	none.Throttled()
}
