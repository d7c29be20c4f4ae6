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

// takeAll takes every name that is available now, without waiting for more.
func takeAll(t *testing.T, q *workqueue) (all []string) {
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

func TestWorkqueue_QueuesANameOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue()
		defer q.Close()
		q.Add("a")
		q.Add("b")
		q.Add("a")
		assert.Equal(t, []string{"a", "b"}, takeAll(t, q))

		q.Add("a")
		q.Add("a")
		assert.Empty(t, takeAll(t, q), "a is being processed")
		q.Done("a", time.Time{}, false, 0)
		assert.Empty(t, takeAll(t, q), "a cools down")
		time.Sleep(shortestCooldown)
		assert.Equal(t, []string{"a"}, takeAll(t, q))
		q.Done("a", time.Time{}, false, 0)
		assert.Empty(t, takeAll(t, q))
	})
}

// A flood of changes of one name has it reconciled at intervals, the first time at once, and delays no other name.
func TestWorkqueue_CoolsDownBetweenReconciliations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue()
		defer q.Close()
		const planTime = 20 * time.Millisecond
		start, reconciles := time.Now(), 0
		for time.Since(start) < time.Second {
			q.Add("a")
			for _, name := range takeAll(t, q) {
				if reconciles == 0 {
					assert.Zero(t, time.Since(start), "the first change is reconciled at once")
				}
				reconciles++
				time.Sleep(planTime)
				q.Done(name, time.Time{}, false, planTime)
			}
			time.Sleep(time.Millisecond)
		}
		assert.Equal(t, int(time.Second/((1+cooldownFactor)*planTime)), reconciles)
		assert.LessOrEqual(t, q.Len(), 1)
		q.Add("b")
		assert.Contains(t, takeAll(t, q), "b")
	})
}

// A rollout on many instances is a row of plans that are executed for longer than a flood of changes has to cool down.
func TestWorkqueue_CoolsDownWhileAPlanIsExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue()
		defer q.Close()
		process := func(planTime, executionTime time.Duration) (cooldown time.Duration) {
			time.Sleep(planTime + executionTime)
			q.Add("a")
			start := time.Now()
			q.Done("a", time.Time{}, false, planTime)
			_, ok := q.Next(t.Context())
			assert.True(t, ok)
			return time.Since(start)
		}
		q.Add("a")
		assert.Equal(t, []string{"a"}, takeAll(t, q))
		const planTime = 50 * time.Millisecond
		assert.Equal(t, cooldownFactor*planTime, process(planTime, 0))
		assert.Equal(t, cooldownFactor*planTime/2, process(planTime, cooldownFactor*planTime/2))
		assert.Equal(t, shortestCooldown, process(planTime, cooldownFactor*planTime))
		assert.Equal(t, longestCooldown, process(time.Second, 0))
	})
}

func TestWorkqueue_RequeuesAtTheTimeOfTheLatestResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue()
		defer q.Close()
		process := func(requeueAfter time.Duration, failed bool) {
			time.Sleep(shortestCooldown)
			q.Add("a")
			assert.Equal(t, []string{"a"}, takeAll(t, q))
			requeueAt := time.Now().Add(requeueAfter)
			if requeueAfter == 0 {
				requeueAt = time.Time{}
			}
			q.Done("a", requeueAt, failed, 0)
		}
		process(time.Minute, false)
		time.Sleep(time.Minute - time.Millisecond)
		assert.Empty(t, takeAll(t, q))
		time.Sleep(time.Millisecond)
		assert.Equal(t, []string{"a"}, takeAll(t, q))
		q.Done("a", time.Time{}, false, 0)

		process(time.Minute, false)
		process(0, false) // the latest result decides
		time.Sleep(time.Hour)
		assert.Empty(t, takeAll(t, q))

		process(shortestCooldown, true)
		time.Sleep(shortestCooldown)
		assert.Equal(t, []string{"a"}, takeAll(t, q), "the requeue comes before the retry")
		q.Done("a", time.Time{}, false, 0)
	})
}

func TestWorkqueue_BacksOffAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue()
		defer q.Close()
		retry := func() time.Duration {
			start := time.Now()
			q.Done("a", time.Time{}, true, 0)
			_, ok := q.Next(t.Context())
			assert.True(t, ok)
			return time.Since(start)
		}
		q.Add("a")
		assert.Equal(t, []string{"a"}, takeAll(t, q))
		for nominal := firstRetry; nominal < time.Hour; nominal *= 2 {
			delay, longest := retry(), min(nominal, longestRetry)
			assert.LessOrEqual(t, delay, longest)
			assert.GreaterOrEqual(t, delay, longest/2)
		}
		q.Done("a", time.Time{}, false, 0)
		q.Add("a")
		_, ok := q.Next(t.Context())
		assert.True(t, ok)
		assert.LessOrEqual(t, retry(), firstRetry, "a success resets the back-off")
	})
}

func TestWorkqueue_IsEmptyOnceClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue()
		q.Add("a")
		q.Close()
		q.Add("b")
		time.Sleep(time.Hour)
		assert.Empty(t, takeAll(t, q))
	})
}

// Names whose calls hang keep no worker from those of another group.
func TestWorkqueue_HasWorkersForEachGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newWorkqueue()
		q.perGroup, q.groupOf = 2, func(name string) string { return name[:1] }
		defer q.Close()
		for _, name := range []string{"a1", "a2", "a3", "a4", "b1"} {
			q.Add(name)
		}
		assert.Equal(t, []string{"a1", "a2", "b1"}, takeAll(t, q))
		q.Add("a1")
		taken := make(chan string)
		go func() {
			name, _ := q.Next(t.Context())
			taken <- name
		}()
		synctest.Wait()
		q.Done("a2", time.Time{}, false, 0)
		assert.Equal(t, "a3", <-taken, "the end of a2 frees a worker")
		assert.Empty(t, takeAll(t, q))
		q.Done("a1", time.Time{}, true, 0)
		assert.Equal(t, []string{"a4"}, takeAll(t, q))
		for _, name := range []string{"a3", "a4", "b1"} {
			q.Done(name, time.Time{}, false, 0)
		}
		time.Sleep(longestRetry)
		assert.Equal(t, []string{"a1"}, takeAll(t, q))
		q.Done("a1", time.Time{}, false, 0)
		assert.Empty(t, q.busy)
		assert.Empty(t, q.groups)
	})
}
