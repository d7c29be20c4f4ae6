package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var midnight = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// run starts the cluster that is due at a time, and finishes it at once.
func (s *schedule) run(t *testing.T, now time.Time, succeeded bool) string {
	t.Helper()
	c := s.start(now)
	require.NotNil(t, c)
	s.finish(c, succeeded, now)
	return c.arn
}

func TestSchedule_RetriesAFailedClusterAlone(t *testing.T) {
	s := newSchedule(20 * time.Minute)
	s.add("good", false, midnight)
	s.add("forbidden", false, midnight)
	assert.Equal(t, "forbidden", s.run(t, midnight, false))
	assert.Equal(t, "good", s.run(t, midnight, true))
	now := midnight
	for _, nominal := range []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1200} {
		delay := s.clusters["forbidden"].dueAt.Sub(now)
		assert.GreaterOrEqual(t, delay, time.Duration(nominal)*time.Second/2)
		assert.LessOrEqual(t, delay, time.Duration(nominal)*time.Second)
		now = now.Add(delay)
		if good := s.clusters["good"]; !good.dueAt.After(now) {
			assert.Zero(t, good.dueAt.Sub(midnight)%(20*time.Minute), "it keeps its schedule")
			assert.Equal(t, "good", s.run(t, good.dueAt, true))
		}
		assert.Nil(t, s.start(now.Add(-1)))
		assert.Equal(t, "forbidden", s.run(t, now, false))
	}
	s.finish(s.start(now.Add(time.Hour)), true, now)
	assert.Zero(t, s.clusters["good"].failures)
}

func TestSchedule_SettlesOnceEachClusterWasReconciledOrHasFailedThreeTimes(t *testing.T) {
	s := newSchedule(time.Hour)
	assert.True(t, s.settled(), "there is nothing to reconcile")
	s.add("a", false, midnight)
	s.add("b", false, midnight.Add(time.Second))
	now := midnight
	for range 3 {
		assert.False(t, s.settled())
		assert.Equal(t, "a", s.run(t, now, false))
		now = now.Add(10 * time.Second)
		s.clusters["b"].dueAt = now.Add(time.Minute)
	}
	assert.False(t, s.settled(), "b was not tried")
	for range 3 {
		s.clusters["a"].dueAt = now.Add(time.Minute)
		s.clusters["b"].dueAt = now
		assert.Equal(t, "b", s.run(t, now, false))
	}
	assert.False(t, s.settled(), "each has failed")
	assert.True(t, s.failsThroughout(3))
	assert.False(t, s.failsThroughout(4))
	s.clusters["b"].dueAt = now
	s.run(t, now, true)
	assert.True(t, s.settled())
	assert.False(t, s.failsThroughout(1))
	s.add("c", true, now)
	assert.True(t, s.settled(), "another replica has reconciled c")
	all, failed := s.counts()
	assert.Equal(t, []int{3, 1}, []int{all, failed})
}

func TestSchedule_StartsEachClusterOnce(t *testing.T) {
	s := newSchedule(time.Hour)
	assert.Nil(t, s.start(midnight))
	s.add("b", false, midnight)
	s.add("a", false, midnight.Add(time.Second))
	s.add("a", false, midnight.Add(-time.Second)) // it is known already
	b := s.start(midnight.Add(time.Second))
	assert.Equal(t, "b", b.arn)
	assert.Equal(t, "a", s.start(midnight.Add(time.Second)).arn)
	assert.Nil(t, s.start(midnight.Add(24*time.Hour)), "both run")
	s.finish(b, true, midnight)
	assert.Nil(t, s.start(midnight.Add(time.Hour-1)))

	s.setDeleted(map[string]bool{"b": true}, midnight)
	assert.Equal(t, b, s.start(midnight), "a deleted cluster is due at once")
	s.finish(b, true, midnight)
	s.setDeleted(map[string]bool{"b": true}, midnight)
	assert.Nil(t, s.start(midnight))
	s.forget("b")
	assert.Nil(t, s.next(midnight))
}

// Eight workers busy with slow periodic reconciliations must not delay one that repairs lost events.
func TestSchedule_KeepsWorkersForUrgentClusters(t *testing.T) {
	s := newSchedule(time.Hour)
	periodic := []string{"a", "b", "c", "d", "e", "f"}
	for _, name := range append(periodic, "victim") {
		s.add(name, false, midnight)
		s.run(t, midnight, true)
	}
	now := midnight.Add(time.Hour)
	for range periodicClusters {
		assert.NotNil(t, s.start(now))
	}
	assert.Nil(t, s.start(now), "the others wait for a periodic one to end")
	assert.False(t, s.compare("victim", &clusterCounts{}, false, now))
	assert.True(t, s.compare("victim", &clusterCounts{}, false, now))
	assert.Equal(t, "victim", s.run(t, now, true))
	s.add("new", false, now)
	assert.Equal(t, "new", s.run(t, now, false), "a first reconciliation is urgent")
	assert.Equal(t, "new", s.run(t, now.Add(time.Second), true), "and so is a retry")

	s.finish(s.clusters["a"], true, now)
	s.add("late", false, now.Add(time.Second))
	assert.Equal(t, "late", s.run(t, now.Add(time.Second), true), "it precedes those that are due longer")
	assert.Equal(t, "e", s.start(now.Add(time.Second)).arn)
}

func TestSchedule_PreemptsThePeriodicReconciliationOfAClusterThatDiffers(t *testing.T) {
	s := newSchedule(time.Hour)
	s.add("a", false, midnight)
	s.run(t, midnight, true)
	now := midnight.Add(time.Hour)
	c := s.start(now)
	preempted := 0
	c.preempt = func() { preempted++ }
	assert.False(t, s.compare("a", &clusterCounts{}, false, now))
	assert.True(t, s.compare("a", &clusterCounts{}, false, now))
	assert.False(t, s.compare("a", &clusterCounts{}, false, now), "once")
	assert.Equal(t, 1, preempted)
	s.finish(c, false, now)
	assert.Zero(t, c.failures, "it did not fail")
	assert.True(t, s.start(now).urgent)
	assert.False(t, s.compare("a", &clusterCounts{}, false, now.Add(time.Hour)), "an urgent one is not preempted")
	s.finish(c, true, now)
	assert.False(t, c.urgent)
}
