package backoff

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

var errDown = errors.New("connection refused")

func TestBackoff_DoublesUpToTheLongestDelay(t *testing.T) {
	for range 100 {
		b := New(100*time.Millisecond, time.Second)
		for _, nominal := range []time.Duration{100, 200, 400, 800, 1000, 1000, 1000} {
			nominal *= time.Millisecond
			delay := b.Next()
			assert.GreaterOrEqual(t, delay, nominal/2)
			assert.LessOrEqual(t, delay, nominal)
		}
	}
}

func TestBackoff_SpreadsDelays(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[New(time.Second, time.Minute).Next()] = true
	}
	assert.Greater(t, len(seen), 50)
}

func TestBackoff_ResetStartsOver(t *testing.T) {
	b := New(time.Second, time.Hour)
	for range 10 {
		b.Next()
	}
	b.Reset()
	assert.LessOrEqual(t, b.Next(), time.Second)
}

func TestBackoff_WaitSleepsForTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, start := New(time.Second, 10*time.Second), time.Now()
		assert.True(t, b.Wait(t.Context()))
		assert.True(t, b.Wait(t.Context()))
		assert.GreaterOrEqual(t, time.Since(start), 1500*time.Millisecond)
		assert.LessOrEqual(t, time.Since(start), 3*time.Second)
	})
}

func TestSleep_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		assert.False(t, Sleep(ctx, time.Hour))
		assert.Equal(t, time.Second, time.Since(start))
		assert.False(t, Sleep(ctx, 0), "a context that ended earlier")
	})
}

func TestRetry_StopsAtTheFirstSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		err := Retry(t.Context(), time.Second, time.Minute, 5, func() error {
			if attempts++; attempts < 3 {
				return errDown
			}
			return nil
		})
		assert.NoError(t, err)
		assert.Equal(t, 3, attempts)
	})
}

func TestRetry_StopsWhenAttemptsAreUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start := time.Now()
		err := Retry(t.Context(), time.Second, time.Minute, 3, func() error {
			at = append(at, time.Since(start))
			return errDown
		})
		assert.Equal(t, errDown, err)
		assert.Len(t, at, 3)
		assert.GreaterOrEqual(t, at[2]-at[1], time.Second, "the second delay is 1 s to 2 s")
	})
}

func TestRetry_ReturnsPermanentErrorsAtOnce(t *testing.T) {
	attempts := 0
	err := Retry(t.Context(), time.Hour, time.Hour, 3, func() error {
		attempts++
		return Permanent(errDown)
	})
	assert.Equal(t, errDown, err)
	assert.Equal(t, 1, attempts)
}

func TestRetry_ReturnsTheLastErrorWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Retry(ctx, time.Hour, time.Hour, 3, func() error {
		cancel()
		return errDown
	})
	assert.Equal(t, errDown, err)
}

func TestDelay_DoublesWithEachFailure(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		-1: 0, 0: 0, 1: 10 * time.Second, 2: 20 * time.Second, 3: 40 * time.Second, 5: 160 * time.Second,
		6: 5 * time.Minute, 7: 5 * time.Minute, 1 << 40: 5 * time.Minute,
	} {
		assert.Equal(t, want, Delay(10*time.Second, 5*time.Minute, failures), "%d failures", failures)
	}
	assert.Equal(t, time.Second, Delay(time.Minute, time.Second, 1), "an initial delay beyond the longest")
}

func TestJitter_StaysBetweenHalfAndAll(t *testing.T) {
	for range 100 {
		d := Jitter(time.Second)
		assert.GreaterOrEqual(t, d, time.Second/2)
		assert.LessOrEqual(t, d, time.Second)
	}
	assert.Equal(t, time.Duration(0), Jitter(0))
	assert.Equal(t, time.Duration(1), Jitter(1))
}
