package broadcast

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errStopped = errors.New("stopped")

func readAll[T any](s *Subscription[T]) (all []T) {
	for items, ok := s.Next(); ok; items, ok = s.Next() {
		all = append(all, items...)
	}
	return all
}

func isReady[T any](s *Subscription[T]) bool {
	select {
	case <-s.Ready():
		return true
	default:
		return false
	}
}

func TestHistory_SubscribersReadEveryItemInOrder(t *testing.T) {
	h := NewHistory(10, Retention[string]{})
	before := h.Subscribe()
	h.Append(11, "a", "b")
	after := h.Subscribe()
	h.Append(12, "c")
	assert.Equal(t, []string{"a", "b", "c"}, readAll(before))
	assert.Equal(t, []string{"c"}, readAll(after))
	assert.Equal(t, int64(12), before.Version())
	assert.NoError(t, before.Err())
	assert.False(t, isReady(before))
}

func TestHistory_SubscribeFromFindsRetainedVersions(t *testing.T) {
	h := NewHistory(10, Retention[int]{Items: 3})
	for i := 11; i <= 15; i++ {
		h.Append(int64(i), i)
	}
	for _, version := range []int64{0, 10, 12} {
		_, ok := h.SubscribeFrom(version)
		assert.False(t, ok, "version %d", version)
	}
	s, ok := h.SubscribeFrom(13)
	require.True(t, ok)
	assert.Equal(t, int64(12), s.Version())
	assert.Equal(t, []int{13, 14, 15}, readAll(s))
}

func TestHistory_CutsOffSlowSubscribers(t *testing.T) {
	h := NewHistory(0, Retention[int]{Items: 3})
	slow, quick := h.Subscribe(), h.Subscribe()
	for i := range 3 {
		h.Append(int64(i+1), i)
	}
	assert.NoError(t, slow.Err(), "nothing is missing yet")
	readAll(quick)
	h.Append(4, 3)
	assert.ErrorIs(t, slow.Err(), ErrSlow)
	assert.NoError(t, quick.Err())
	assert.Equal(t, []int{3}, readAll(quick))
}

func TestHistory_KeepsTheNewestAppendWhateverItsSize(t *testing.T) {
	h := NewHistory(0, Retention[string]{Bytes: 10, Size: func(s string) int64 { return int64(len(s)) }})
	s := h.Subscribe()
	h.Append(1, "longer than ten bytes", "and another one")
	assert.NoError(t, s.Err())
	assert.Len(t, readAll(s), 2)
	h.Append(2, "x")
	_, ok := h.SubscribeFrom(1)
	assert.False(t, ok, "bytes are bounded")
	_, ok = h.SubscribeFrom(2)
	assert.True(t, ok)
}

func TestHistory_CloseEndsSubscriptionsAfterTheirLastItem(t *testing.T) {
	h := NewHistory(0, Retention[int]{})
	s := h.Subscribe()
	h.Append(1, 1)
	h.Close(errStopped)
	h.Close(errors.New("again"))
	h.Append(2, 2)
	assert.NoError(t, s.Err(), "an item is left")
	assert.Equal(t, []int{1}, readAll(s))
	assert.True(t, isReady(s))
	assert.Equal(t, errStopped, s.Err())
	assert.Equal(t, errStopped, h.Subscribe().Err())
}

func TestHistory_CoalescesWakeUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory(0, Retention[int]{})
		const subscribers = 1000
		for range subscribers - 1 {
			defer h.Subscribe().Close()
		}
		s := h.Subscribe()
		defer s.Close()
		rounds := 0
		start := time.Now()
		for i := range 10_000 { // ten seconds
			h.Append(int64(i+1), i)
			if isReady(s) {
				rounds++
				readAll(s)
			}
			time.Sleep(time.Millisecond)
		}
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.Less(t, rounds, 10_000/10+2)
		assert.Greater(t, rounds, 10_000/20)
		time.Sleep(longestDelay)
		readAll(s)
		assert.Equal(t, int64(10_000), s.Version())
	})
}

func TestHistory_WakesAtOnceWhenQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory(0, Retention[int]{})
		s := h.Subscribe()
		time.Sleep(time.Second)
		h.Append(1, 1)
		assert.True(t, isReady(s))
	})
}

func TestSubscription_CloseCountsOnce(t *testing.T) {
	h := NewHistory(0, Retention[int]{})
	s := h.Subscribe()
	s.Close()
	s.Close()
	assert.Zero(t, h.subscribers.Load())
}

func TestHistory_ConcurrentReadersSeeTheSame(t *testing.T) {
	const items = 2000
	h := NewHistory(0, Retention[int]{})
	var readers sync.WaitGroup
	for range 8 {
		s := h.Subscribe()
		readers.Go(func() {
			defer s.Close()
			next := 0
			for {
				if read, ok := s.Next(); ok {
					for _, item := range read {
						assert.Equal(t, next, item)
						next++
					}
					continue
				}
				if err := s.Err(); err != nil {
					assert.Equal(t, errStopped, err)
					assert.Equal(t, items, next)
					return
				}
				<-s.Ready()
			}
		})
	}
	for i := range items {
		h.Append(int64(i+1), i)
	}
	h.Close(errStopped)
	readers.Wait()
}

// An idle subscriber costs one small object: a thousand clients may follow at once.
func TestHistory_SubscribingAllocatesLittle(t *testing.T) {
	h := NewHistory(0, Retention[int]{})
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { h.Subscribe().Close() }), 1.0)
}
