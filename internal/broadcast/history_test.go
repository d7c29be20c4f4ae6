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

// subscribeMany returns subscriptions that leave with the test. Two CPUs serve their readers.
func subscribeMany(t *testing.T, h *History[int], n int) (all []*Subscription[int]) {
	h.notifier.procs = 2
	for range n {
		s := h.Subscribe()
		t.Cleanup(s.Close)
		all = append(all, s)
	}
	return all
}

// roundsOf returns how often a reader that takes so long for each round reads in ten seconds of an item each
// millisecond. It is one of a thousand.
func roundsOf(t *testing.T, work time.Duration) (rounds int) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory(0, Retention[int]{})
		s := subscribeMany(t, h, 1000)[0]
		for i := range 10_000 {
			h.Append(int64(i+1), i)
			if isReady(s) {
				rounds++
				readAll(s)
				time.Sleep(work)
				isReady(s) // the work has ended
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(longestDelay)
		readAll(s)
		assert.Equal(t, int64(10_000), s.Version())
	})
	return rounds
}

func TestHistory_CoalescesWakeUpsOfReadersWhoseWorkIsLong(t *testing.T) {
	rounds := roundsOf(t, firstCost) // a thousand of them keep two CPUs busy for 10 ms
	assert.Less(t, rounds, 10_000/20+2)
	assert.Greater(t, rounds, 10_000/40)
	assert.Greater(t, roundsOf(t, time.Microsecond), 10_000/4)
	assert.Greater(t, roundsOf(t, time.Hour), 10_000/80, "slow clients delay others by longestDelay at most")
}

func TestHistory_WakesManyReadersInGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory(0, Retention[int]{})
		all := subscribeMany(t, h, 1000)
		time.Sleep(time.Second)
		h.Append(1, 1)
		woken := func() (n int) {
			for _, s := range all {
				if isReady(s) {
					n++
				}
			}
			return n
		}
		assert.Equal(t, groupSize, woken(), "at once")
		time.Sleep(5 * time.Millisecond)
		assert.Greater(t, woken(), 400)
		assert.Less(t, woken(), 600)
		time.Sleep(6 * time.Millisecond)
		assert.Equal(t, 1000, woken())
	})
}

func TestHistory_WakesReadersThatSubscribeDuringARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory(0, Retention[int]{})
		all := subscribeMany(t, h, 2*groupSize)
		time.Sleep(time.Second)
		h.Append(1, 1)
		all = append(all, subscribeMany(t, h, groupSize+1)...)
		h.Append(2, 2)
		time.Sleep(longestDelay)
		for i, s := range all {
			assert.True(t, isReady(s), i)
			readAll(s)
			assert.False(t, isReady(s), i)
		}
		h.Append(3, 3)
		time.Sleep(longestDelay)
		for i, s := range all {
			assert.True(t, isReady(s), i)
		}
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
	assert.Zero(t, h.notifier.readers)
	assert.Zero(t, s.group.readers)
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
