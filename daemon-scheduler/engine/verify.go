package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

// verifyAgainstECS finds tasks of the environment that the cluster state lacks, before anything is started and before
// the environment's record is removed. A cluster state from a restored etcd lacks tasks started since the backup.
//
// It records each such task as a launch, which occupies its instance, and reports whether there was any: the plan is
// void then. It reads ECS once a term, and again after the cluster state was reloaded. It does not if
// cluster-state-service has reconciled with ECS since then, or if the environment is newer than the term.
func (r *reconciliation) verifyAgainstECS(ctx context.Context) (found bool, err error) {
	if since, needed := r.verifySince(); !needed || r.Cluster.ReconciledAt().After(since) ||
		r.leader.verifiedSince(r.env.Name, since) {
		return false, nil
	}
	start := time.Now()
	queryCtx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	unseen, err := r.listUnseen(queryCtx)
	if err != nil {
		return false, err
	}
	tasks, missing, err := r.ECS.DescribeTasks(queryCtx, r.env.Cluster, unseen)
	if err != nil {
		return false, fmt.Errorf("describe %d tasks: %w", len(unseen), err)
	}
	launches := r.launchesOfUnseen(tasks, start)
	if err := r.commitLaunches(ctx, store.Changes{Put: launches}); err != nil {
		return false, err
	}
	if len(missing) > 0 {
		return false, fmt.Errorf("verify %d tasks that the cluster state lacks: %w", len(missing), errListedButMissing)
	}
	r.leader.recordVerified(r.env.Name, start)
	return len(launches) > 0, nil
}

// verifySince returns the time since which the tasks have to have been verified; false if they need not be.
func (r *reconciliation) verifySince() (since time.Time, needed bool) {
	if doubted := r.Cluster.DoubtedAt(); doubted.After(r.leader.since) {
		return doubted, true
	}
	return r.leader.since, r.env.Incarnation <= r.leader.Revision
}

// listUnseen returns the ARNs of the environment's tasks that ECS lists and the cluster state does not show.
func (r *reconciliation) listUnseen(ctx context.Context) (unseen []string, err error) {
	seen, live := map[string]bool{}, map[string]bool{} // by task ARN; by deployment
	for _, t := range r.tasks {
		seen[t.ARN] = true
		live[t.StartedBy] = live[t.StartedBy] || t.Live()
	}
	current, _ := r.env.Current()
	for i, d := range r.env.History() {
		replaced := i > 0 && d.ID != current.ID && !r.env.Adopts(current, d.ID)
		if replaced && d.Status == environment.Completed && !live[d.ID] {
			continue // a later deployment replaced its tasks, before the backup as well
		}
		arns, err := r.listStartedBy(ctx, d.ID)
		if err != nil {
			return nil, err
		}
		for _, arn := range arns {
			if !seen[arn] {
				unseen = append(unseen, arn)
			}
		}
	}
	return unseen, nil
}

// launchesOfUnseen returns a started launch for each live task that no launch accounts for, one an instance.
func (r *reconciliation) launchesOfUnseen(tasks []environment.Task, at time.Time) (launches []environment.Launch) {
	occupied := map[string]bool{} // by instance ARN
	for _, t := range tasks {
		l := r.launches[t.Instance]
		accounted := l.State == environment.LaunchOpen || l.State == environment.LaunchStarted && l.Task == t.ARN
		if !t.Live() || occupied[t.Instance] || accounted {
			continue
		}
		occupied[t.Instance] = true
		r.log.WithFields(logrus.Fields{"instance": t.Instance, "task": t.ARN}).Warn("task missing from the cluster state")
		launches = append(launches, environment.Launch{
			Instance: t.Instance, Deployment: t.StartedBy, TaskDefinition: r.env.Deployments[t.StartedBy].TaskDefinition,
			State: environment.LaunchStarted, NotAfter: at.UTC().Round(0), Task: t.ARN, Attempts: 1,
			StoredVersion: l.StoredVersion,
		})
	}
	return launches
}
