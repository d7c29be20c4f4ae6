package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names takes what is ready, without waiting for more.
func names(t *testing.T, q *queue) (all []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	taken := make(chan string)
	go func() {
		defer close(taken)
		for {
			name, ok := q.Next(ctx)
			if !ok {
				return
			}
			taken <- name
		}
	}()
	for {
		synctest.Wait()
		select {
		case name := <-taken:
			all = append(all, name)
		default:
			cancel()
			synctest.Wait()
			_, open := <-taken
			assert.False(t, open)
			return all
		}
	}
}

func TestQueueHandsOutANameOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.Close()
		q.Add("a")
		q.Add("b")
		q.Add("a")
		assert.Equal(t, []string{"a", "b"}, names(t, q))

		q.Add("a")
		q.Add("a")
		assert.Empty(t, names(t, q), "a is being looked at")
		q.Done("a", time.Time{}, false, 0)
		assert.Empty(t, names(t, q), "a rests")
		time.Sleep(restLeast)
		assert.Equal(t, []string{"a"}, names(t, q))
		q.Done("a", time.Time{}, false, 0)
		assert.Empty(t, names(t, q))
	})
}

// A flood of changes of one name has it looked at once in a while, the first time at once, and holds up no other.
func TestQueueKeepsLooksApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.Close()
		const planned = 20 * time.Millisecond
		begun, looks := time.Now(), 0
		for time.Since(begun) < time.Second {
			q.Add("a")
			for _, name := range names(t, q) {
				if looks == 0 {
					assert.Zero(t, time.Since(begun), "the first change is looked at at once")
				}
				looks++
				q.Done(name, time.Time{}, false, planned)
			}
			time.Sleep(time.Millisecond)
		}
		assert.Equal(t, int(time.Second/(restTimes*planned))+1, looks)
		assert.LessOrEqual(t, q.Len(), 1)
		q.Add("b")
		assert.Contains(t, names(t, q), "b")
	})
}

func TestQueueLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.Close()
		look := func(in time.Duration, failed bool) {
			time.Sleep(restLeast)
			q.Add("a")
			assert.Equal(t, []string{"a"}, names(t, q))
			until := time.Now().Add(in)
			if in == 0 {
				until = time.Time{}
			}
			q.Done("a", until, failed, 0)
		}
		look(time.Minute, false)
		time.Sleep(time.Minute - time.Millisecond)
		assert.Empty(t, names(t, q))
		time.Sleep(time.Millisecond)
		assert.Equal(t, []string{"a"}, names(t, q))
		q.Done("a", time.Time{}, false, 0)

		look(time.Minute, false)
		look(0, false) // the latest look decides
		time.Sleep(time.Hour)
		assert.Empty(t, names(t, q))

		look(restLeast, true)
		time.Sleep(restLeast)
		assert.Equal(t, []string{"a"}, names(t, q), "what is due comes before the retry")
		q.Done("a", time.Time{}, false, 0)
	})
}

func TestQueueRetriesLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.Close()
		retry := func() time.Duration {
			begun := time.Now()
			q.Done("a", time.Time{}, true, 0)
			_, ok := q.Next(t.Context())
			assert.True(t, ok)
			return time.Since(begun)
		}
		q.Add("a")
		assert.Equal(t, []string{"a"}, names(t, q))
		for want := retryFirst; want < time.Hour; want *= 2 {
			got, most := retry(), min(want, retryMost)
			assert.LessOrEqual(t, got, most)
			assert.Greater(t, got, most/2)
		}
		q.Done("a", time.Time{}, false, 0)
		q.Add("a")
		_, ok := q.Next(t.Context())
		assert.True(t, ok)
		assert.LessOrEqual(t, retry(), retryFirst, "a success begins anew")
	})
}

func TestClosedQueueForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.Add("a")
		q.Close()
		q.Add("b")
		time.Sleep(time.Hour)
		assert.Empty(t, names(t, q))
	})
}
