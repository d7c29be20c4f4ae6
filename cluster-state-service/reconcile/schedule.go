package reconcile

import (
	"cmp"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	// firstClusterDelay is the time until a cluster that failed is retried. It doubles with each further failure, up to
	// the interval.
	firstClusterDelay = time.Second
	// firstDriftDelay is the time until a drift that a reconciliation did not end counts again. It doubles, too.
	firstDriftDelay = 2 * time.Minute
	// settledFailures is after how many failures in a row lists do not wait for a cluster any more.
	settledFailures = 3
)

// schedule says when each cluster is reconciled: at intervals, and after a failure sooner. Each cluster keeps its own
// schedule. It does not read the clock.
type schedule struct {
	interval time.Duration
	clusters map[string]*scheduledCluster // by ARN
}

type scheduledCluster struct {
	arn        string
	deleted    bool // ECS does not have it any more
	reconciled bool // at least once, now or before this replica led
	failures   int  // in a row
	running    bool
	urgent     bool // the present or next reconciliation neither spares ECS nor waits for periodic ones
	dueAt      time.Time
	preempt    func() // cancels the present reconciliation; nil if it is not to be preempted
	preempted  bool   // the present reconciliation was cancelled in favour of an urgent one

	counts  *clusterCounts // by ECS, at the last list; nil if unknown
	differs int            // lists in a row at which the counts differed from the stored records
	drifts  int            // reconciliations because of that, since the counts were last equal
	driftAt time.Time      // no further one before
}

func newSchedule(interval time.Duration) *schedule {
	return &schedule{interval: interval, clusters: map[string]*scheduledCluster{}}
}

// add makes a cluster due at a time, unless it is known. reconciled says whether it was reconciled before.
func (s *schedule) add(arn string, reconciled bool, dueAt time.Time) {
	if s.clusters[arn] == nil {
		s.clusters[arn] = &scheduledCluster{arn: arn, reconciled: reconciled, dueAt: dueAt, urgent: true}
	}
}

// setDeleted marks which of the known clusters ECS does not have any more. Those that are new among them are due.
func (s *schedule) setDeleted(deleted map[string]bool, now time.Time) {
	for _, c := range s.clusters {
		if deleted[c.arn] && !c.deleted {
			c.dueAt = now
		}
		c.deleted = deleted[c.arn]
	}
}

// compare takes ECS's counts of a cluster, nil if they are unknown, and whether they agree with the stored records. It
// reports whether the cluster is due because they differed twice in a row: one difference may be an event on its way.
func (s *schedule) compare(clusterARN string, counts *clusterCounts, agree bool, now time.Time) (drifted bool) {
	c := s.clusters[clusterARN]
	c.counts = counts
	switch {
	case counts == nil:
		return false
	case agree:
		c.forgetDrift()
		return false
	}
	c.differs++
	if c.urgent && c.isDue(now) || c.differs < 2 || c.failures > 0 || now.Before(c.driftAt) {
		return false
	}
	if c.running && c.preempt != nil { // at the pace of periodic reconciliations, it may take many minutes
		c.preempted = true
		c.preempt()
	}
	c.differs = 0
	c.drifts++
	c.driftAt = now.Add(backoff.Delay(firstDriftDelay, s.interval, c.drifts))
	c.dueAt, c.urgent = now, true
	return true
}

// isDue reports whether the cluster is or will be reconciled without a further reason.
func (c *scheduledCluster) isDue(now time.Time) bool {
	return !c.reconciled || c.running || !c.dueAt.After(now)
}

// forgetDrift makes the next drift count at once: the counts agree, or the last reconciliation has corrected records.
func (c *scheduledCluster) forgetDrift() { c.differs, c.drifts, c.driftAt = 0, 0, time.Time{} }

// forget removes a cluster.
func (s *schedule) forget(arn string) { delete(s.clusters, arn) }

// start returns the cluster that is due first, which runs until finish; nil if none is due.
func (s *schedule) start(now time.Time) *scheduledCluster {
	next := s.next(now)
	if next == nil || next.dueAt.After(now) {
		return nil
	}
	next.running = true
	return next
}

// next returns the cluster to start next of those that do not run: an urgent one if it is due, else the one that is due
// first. It returns nil if no cluster may start. Periodic reconciliations leave some of the workers to urgent ones.
func (s *schedule) next(now time.Time) (next *scheduledCluster) {
	periodic := 0
	for _, c := range s.clusters {
		if c.running && !c.urgent {
			periodic++
		}
	}
	for _, c := range s.clusters {
		startable := !c.running && (c.urgent || periodic < periodicClusters)
		if startable && (next == nil || c.precedes(next, now)) {
			next = c
		}
	}
	return next
}

// precedes reports whether c starts before other.
func (c *scheduledCluster) precedes(other *scheduledCluster, now time.Time) bool {
	if c.urgent != other.urgent && !c.dueAt.After(now) && !other.dueAt.After(now) {
		return c.urgent
	}
	return cmp.Or(c.dueAt.Compare(other.dueAt), cmp.Compare(c.arn, other.arn)) < 0
}

// finish ends a cluster's reconciliation and schedules the next.
func (s *schedule) finish(c *scheduledCluster, succeeded bool, now time.Time) {
	c.running, c.preempt = false, nil
	if c.preempted { // it is due and urgent
		c.preempted = false
		return
	}
	c.urgent = !succeeded
	if succeeded {
		c.reconciled, c.failures = true, 0
		c.dueAt = now.Add(s.interval)
		return
	}
	c.failures++
	c.dueAt = now.Add(backoff.Jitter(backoff.Delay(firstClusterDelay, s.interval, c.failures)))
}

// settled reports whether lists need not wait: every cluster was reconciled or has failed several times, and not all
// have failed.
func (s *schedule) settled() bool {
	reconciled := len(s.clusters) == 0
	for _, c := range s.clusters {
		if !c.reconciled && c.failures < settledFailures {
			return false
		}
		reconciled = reconciled || c.reconciled
	}
	return reconciled
}

// failsThroughout reports whether every cluster has failed that many times in a row.
func (s *schedule) failsThroughout(failures int) bool {
	for _, c := range s.clusters {
		if c.failures < failures {
			return false
		}
	}
	return len(s.clusters) > 0
}

// counts returns the numbers of all clusters and of those whose last attempt failed.
func (s *schedule) counts() (all, failed int) {
	for _, c := range s.clusters {
		if c.failures > 0 {
			failed++
		}
	}
	return len(s.clusters), failed
}
