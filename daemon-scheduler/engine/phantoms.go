package engine

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/ecserrors"
)

// phantomMinAge is the age from which on a task is a phantom if ECS reports it as MISSING: ECS is eventually
// consistent. Source: "API eventual consistency" in the Amazon ECS API Reference.
const phantomMinAge = 5 * time.Minute

const phantomReason = "ECS does not know the task. It is ignored."

// phantomsOf returns the environment's tasks among the missing ones, without those that ECS may not show yet. Their age
// is by ECS's clock, as their times are.
func (r *reconciliation) phantomsOf(missing map[string]bool) (phantoms []environment.Task) {
	if len(missing) == 0 {
		return nil
	}
	for _, t := range r.tasks {
		if missing[t.ARN] && !r.isYoung(t, r.ECS.Now()) {
			phantoms = append(phantoms, t)
		}
	}
	return phantoms
}

// isYoung reports whether the task may have been started so recently that ECS does not show it yet.
func (r *reconciliation) isYoung(t environment.Task, now time.Time) bool {
	l := r.launches[t.Instance]
	launched := l.State == environment.LaunchOpen && l.Deployment == t.StartedBy ||
		l.State == environment.LaunchStarted && l.Task == t.ARN
	return launched && now.Before(l.NotAfter.Add(phantomMinAge)) || now.Before(t.CreatedAt.Add(phantomMinAge))
}

// ignorePhantoms has tasks left out of the cluster state, and reports them.
func (r *reconciliation) ignorePhantoms(phantoms []environment.Task) {
	arns := make([]string, 0, len(phantoms))
	for _, t := range phantoms {
		arns = append(arns, t.ARN)
		r.metrics.phantoms.Inc()
		r.log.WithFields(logrus.Fields{
			"instance": t.Instance, "task": t.ARN, "startedBy": t.StartedBy,
		}).Warn("phantom task ignored, because ECS does not know it")
		r.recordEvent(environment.Event{
			Action: environment.EventPhantomTaskIgnored, Deployment: t.StartedBy, Reason: phantomReason, Count: 1,
			Instances: []environment.EventInstance{{Instance: t.Instance, Task: t.ARN}},
		})
	}
	r.Cluster.IgnoreTasks(arns)
}

// ignoreIfMissing reports whether ECS rejected the stop of a phantom, which is ignored from now on.
func (r *reconciliation) ignoreIfMissing(ctx context.Context, a planner.Action, outcome ecserrors.Outcome) bool {
	if outcome.Scope != ecserrors.ScopeInstance {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	_, missing, err := r.ECS.DescribeTasks(ctx, r.env.Cluster, []string{a.Task})
	if err != nil {
		r.log.WithError(err).WithField("task", a.Task).Warn("failed to describe a task that ECS does not stop")
		return false
	}
	phantoms := r.phantomsOf(missing)
	r.ignorePhantoms(phantoms)
	return len(phantoms) > 0
}
