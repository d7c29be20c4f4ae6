package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// vouch makes sure, before anything is started and before the environment's records go, that the copy lacks no task of the environment, unless it was compared with
// ECS during this term. A copy of an etcd that was restored from a backup lacks what was started since. What it lacks is
// written down as a launch, which occupies its instance; more tells that there was any, so that the plan is void.
func (w *work) vouch(ctx context.Context) (more bool, err error) {
	since := w.Engine.term.began
	if doubted := w.Cluster.DoubtedAt(); doubted.After(since) {
		since = doubted
	} else if w.env.Incarnation > w.term.Revision {
		return false, nil // the environment itself is newer than the term: nothing of it can have been missed
	}
	if w.Cluster.ReconciledAt().After(since) || w.Engine.term.vouchedFor(w.env.Name, since) {
		return false, nil
	}
	asked := time.Now()
	asking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	copied, live := map[string]bool{}, map[string]bool{}
	for _, t := range w.tasks {
		copied[t.ARN] = true
		live[t.StartedBy] = live[t.StartedBy] || t.Live()
	}
	var missed []string
	current, _ := w.env.Current()
	for i, d := range w.env.History() {
		if i > 0 && d.ID != current.ID && d.Status == environment.Completed && !live[d.ID] {
			continue // a later one has taken its place, before the backup as well
		}
		arns, err := w.list(asking, &ecs.ListTasksInput{StartedBy: &d.ID})
		if err != nil {
			return false, fmt.Errorf("list tasks of deployment %s: %w", d.ID, err)
		}
		for _, arn := range arns {
			if !copied[arn] {
				missed = append(missed, arn)
			}
		}
	}
	tasks, missing, err := w.describe(asking, missed)
	if err != nil {
		return false, fmt.Errorf("describe %d tasks: %w", len(missed), err)
	}
	var found []environment.Launch
	noted := map[string]bool{} // instances
	for _, t := range tasks {
		l := w.launches[t.Instance]
		if !t.Live() || noted[t.Instance] || l.State == environment.LaunchOpen || l.State == environment.LaunchStarted && l.Task == t.ARN {
			continue
		}
		noted[t.Instance] = true
		w.log.WithFields(logrus.Fields{"instance": t.Instance, "task": t.ARN}).Warn("a task that the copy of the cluster lacks")
		found = append(found, environment.Launch{
			Instance: t.Instance, Deployment: t.StartedBy, TaskDefinition: w.env.Deployments[t.StartedBy].TaskDefinition,
			State: environment.LaunchStarted, NotAfter: asked.UTC().Round(0), Task: t.ARN, Attempts: 1, StoredVersion: l.StoredVersion,
		})
	}
	if err := w.commit(ctx, found, nil); err != nil {
		return false, err
	}
	if len(missing) > 0 {
		return false, fmt.Errorf("look for tasks that the copy lacks, %d: %w", len(missing), errListedButMissing)
	}
	w.Engine.term.vouch(w.env.Name, asked)
	return len(found) > 0, nil
}
