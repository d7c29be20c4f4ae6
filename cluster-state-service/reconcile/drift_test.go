package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestCountRange_ToleratesTransitionalStates(t *testing.T) {
	var r countRange
	for _, status := range []string{"ACTIVE", "DRAINING", "INACTIVE", "REGISTERING"} {
		r.addInstance(status)
	}
	for _, status := range []string{
		"RUNNING", "RUNNING", "PENDING", "STOPPED", "PROVISIONING", "ACTIVATING", "DEPROVISIONING",
	} {
		r.addTask(status)
	}
	for name, tc := range map[string]struct {
		counts clusterCounts
		want   bool
	}{
		"the least":                  {clusterCounts{2, 2, 1}, true},
		"the greatest":               {clusterCounts{3, 5, 4}, true},
		"an instance is missing":     {clusterCounts{1, 2, 1}, false},
		"an instance is unknown":     {clusterCounts{4, 2, 1}, false},
		"a task has stopped":         {clusterCounts{2, 1, 1}, false},
		"a running task is unknown":  {clusterCounts{2, 6, 1}, false},
		"a pending task has started": {clusterCounts{2, 3, 0}, false},
		"a pending task is unknown":  {clusterCounts{2, 2, 5}, false},
	} {
		assert.Equal(t, tc.want, r.contains(tc.counts), name)
	}
	assert.True(t, countRange{}.contains(clusterCounts{}))
}

func TestSchedule_ReconcilesAClusterWhoseCountsDifferTwice(t *testing.T) {
	s := newSchedule(20 * time.Minute)
	s.add("a", false, midnight)
	assert.Equal(t, "a", s.run(t, midnight, true))
	now := midnight
	differs := func(yes bool) bool {
		now = now.Add(time.Minute)
		return s.compare("a", &clusterCounts{}, !yes, now)
	}
	assert.False(t, differs(true), "the event may be on its way")
	assert.False(t, differs(false))
	assert.False(t, differs(true))
	assert.True(t, differs(true))
	assert.Equal(t, "a", s.run(t, now, true))
	assert.False(t, differs(false), "repaired")
	differs(true)
	assert.True(t, differs(true), "further events were lost")
	assert.Equal(t, "a", s.run(t, now, true))
	assert.False(t, differs(false))

	// A difference that reconciling does not end is not chased every minute.
	var reconciled []int
	start := now
	for now.Before(start.Add(40 * time.Minute)) {
		if differs(true) {
			reconciled = append(reconciled, int(now.Sub(start)/time.Minute))
			s.run(t, now, true)
		}
	}
	assert.Equal(t, []int{2, 4, 8, 16, 32}, reconciled)
	s.clusters["a"].driftAt = now
	assert.False(t, s.compare("a", nil, false, now), "the counts are unknown")
	c := s.start(s.clusters["a"].dueAt)
	assert.True(t, differs(true), "its periodic reconciliation does not suffice")
	assert.False(t, differs(true), "an urgent one runs")
	s.finish(c, false, now)
	assert.False(t, differs(true), "it is retried already")
}

// A cluster that waits for its first reconciliation differs from ECS, of course. It keeps its place.
func TestSchedule_KeepsThePlaceOfAClusterThatIsDue(t *testing.T) {
	s := newSchedule(time.Minute)
	s.add("new", false, midnight)
	s.add("other", true, midnight.Add(time.Second))
	for n := range 3 {
		now := midnight.Add(time.Duration(n) * time.Minute)
		assert.False(t, s.compare("new", &clusterCounts{1, 0, 0}, false, now))
		assert.False(t, s.compare("other", &clusterCounts{1, 0, 0}, false, midnight.Add(time.Hour)))
	}
	assert.Equal(t, "new", s.run(t, midnight.Add(time.Hour), true))
}

// Lost events are repaired long before the next interval.
func TestReconciler_RepairsLostEventsByCounts(t *testing.T) {
	f := newFixture(t, ecssim.Config{Faults: ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}}})
	f.AddInstances("default", 1)
	f.start(Config{Interval: time.Hour, CheckInterval: 10 * time.Millisecond})
	f.awaitState()
	f.AddInstances("default", 1)
	f.awaitState()
	task := f.StartFargateTask("default", "web")
	f.awaitState()
	assert.NoError(t, f.KillTask(task, 1))
	f.awaitState()
	f.AddInstances("new", 1)
	f.awaitState()
}

// ECS describes empty clusters in one call for a hundred of them. They cost no further calls.
func TestReconciler_ReadsNothingOfEmptyClusters(t *testing.T) {
	f := newFixture(t, ecssim.Config{Faults: ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}}})
	for _, name := range []string{"a", "b", "c", "d"} {
		f.CreateCluster(name)
	}
	f.AddInstances("default", 1)
	f.start(Config{Interval: time.Hour})
	f.awaitState()
	testenv.Eventually(t, func() bool {
		r := f.snapshot().Reconciliations
		region := state.Region{Account: "123456789012", Name: "us-east-1"}
		return len(r.NotReconciled) == 0 && !r.OfRegion(region).FinishedAt.IsZero()
	})
	assert.Equal(t, 1, f.Calls("ListContainerInstances"))
	assert.Equal(t, 2, f.Calls("ListTasks"))
	assert.Equal(t, 2, f.Calls("DescribeClusters"), "one finds out the account")
}

// ECS rejects to describe a hundred clusters if it refuses one of them. The others are compared all the same.
func TestReconciler_ComparesCountsBesideAForbiddenCluster(t *testing.T) {
	f := newFixture(t, ecssim.Config{Faults: ecssim.Faults{
		Events: ecssim.EventFaults{Drop: 1},
		Refusals: map[string]ecssim.Refusal{
			"DescribeClusters": {Code: "AccessDeniedException", Fraction: 1, Cluster: "secret"},
		},
	}})
	for _, name := range []string{"a", "b", "secret", "z"} {
		f.AddInstances(name, 1)
	}
	f.start(Config{Interval: time.Hour, CheckInterval: 10 * time.Millisecond})
	f.awaitState()
	f.AddInstances("a", 1)
	f.AddInstances("z", 1)
	f.awaitState()
}
