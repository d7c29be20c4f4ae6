package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/ecserrors"
)

const (
	queryTimeout    = time.Minute // of all reads of ECS that confirm or verify tasks
	maxConfirmsOnce = 10          // launches of one reconciliation; after an error, few reads have to be repeated
)

// errListedButMissing means that ECS, which is eventually consistent, lists a task but does not describe it.
var errListedButMissing = errors.New("ECS lists tasks that it reports as MISSING")

// confirm queries ECS for the tasks of launches whose outcome is unknown, and records what it finds.
func (r *reconciliation) confirm(ctx context.Context, actions []planner.Action) error {
	actions = actions[:min(len(actions), maxConfirmsOnce)]
	if len(actions) == 0 {
		return nil
	}
	queryCtx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	candidates, err := r.listCandidates(queryCtx, actions)
	if err != nil {
		return err
	}
	tasks, missing, err := r.ECS.DescribeTasks(queryCtx, r.env.Cluster, candidates.arns)
	if err != nil {
		return fmt.Errorf("describe %d tasks: %w", len(candidates.arns), err)
	}
	var confirmed []environment.Launch
	undecided := 0
	for _, a := range actions {
		found := tasksOf(a.Launch, tasks)
		isMissing := func(arn string) bool { return missing[arn] }
		if a.Launch.State == environment.LaunchOpen && !slices.ContainsFunc(found, environment.Task.Live) &&
			slices.ContainsFunc(candidates.byInstance[a.Instance], isMissing) {
			undecided++ // the launch's task may be one that ECS lists and does not describe yet
			continue
		}
		confirmed = append(confirmed, r.confirmLaunch(a, found))
	}
	if err := r.commitLaunches(ctx, store.Changes{Put: confirmed}); err != nil {
		return err
	}
	for _, l := range confirmed {
		r.recordTaskFailure(l)
	}
	if undecided == 0 {
		return nil
	}
	return fmt.Errorf("confirm %d launches: %w", undecided, errListedButMissing)
}

// confirmLaunch returns the launch of a, whose tasks ECS describes as found.
func (r *reconciliation) confirmLaunch(a planner.Action, found []environment.Task) environment.Launch {
	l := planner.ConfirmLaunch(a.Launch, found, time.Now().UTC())
	r.log.WithFields(logrus.Fields{
		"instance": a.Instance, "task": l.Task, "reason": a.Reason, "state": string(l.State),
	}).Info("launch confirmed")
	if a.Launch.State == environment.LaunchOpen {
		outcome := startNotFound
		if l.State == environment.LaunchStarted {
			outcome = startConfirmed
		}
		r.metrics.countStarts(outcome, 1)
	}
	return l
}

// candidates are the ARNs of tasks that launches may have started.
type candidates struct {
	arns       []string
	byInstance map[string][]string // those of open launches, by the launch's instance
}

// listCandidates returns the tasks that may be the launches'. Of a started launch it is its own task. Of an open launch
// it is every task that its deployment started and every stopping task on its instance: given startedBy, ECS lists only
// running tasks.
func (r *reconciliation) listCandidates(ctx context.Context, actions []planner.Action) (candidates, error) {
	c := candidates{byInstance: map[string][]string{}}
	byDeployment := map[string][]string{}
	for _, a := range actions {
		l := a.Launch
		if l.State == environment.LaunchStarted {
			c.arns = append(c.arns, l.Task)
			continue
		}
		if _, listed := byDeployment[l.Deployment]; l.Deployment != "" && !listed {
			arns, err := r.listStartedBy(ctx, l.Deployment)
			if err != nil {
				return candidates{}, err
			}
			byDeployment[l.Deployment] = arns
			c.arns = append(c.arns, arns...)
		}
		c.byInstance[l.Instance] = append(c.byInstance[l.Instance], byDeployment[l.Deployment]...)
		stopping, err := r.ECS.ListTasks(ctx, &ecs.ListTasksInput{
			Cluster: &r.env.Cluster, ContainerInstance: &l.Instance, DesiredStatus: types.DesiredStatusStopped,
		})
		if ecserrors.IsRejected(err) {
			continue // ECS no longer knows the instance
		}
		if err != nil {
			return candidates{}, fmt.Errorf("list stopped tasks of instance %s: %w", l.Instance, err)
		}
		c.arns = append(c.arns, stopping...)
		c.byInstance[l.Instance] = append(c.byInstance[l.Instance], stopping...)
	}
	return c, nil
}

// listStartedBy returns the ARNs of the tasks that a deployment started and that are not to stop.
func (r *reconciliation) listStartedBy(ctx context.Context, deployment string) ([]string, error) {
	arns, err := r.ECS.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &r.env.Cluster, StartedBy: &deployment})
	if err != nil {
		return nil, fmt.Errorf("list tasks of deployment %s: %w", deployment, err)
	}
	return arns, nil
}

// tasksOf returns the tasks that may be the launch's.
func tasksOf(l environment.Launch, tasks []environment.Task) (found []environment.Task) {
	for _, t := range tasks {
		if l.State == environment.LaunchStarted && t.ARN == l.Task ||
			l.State == environment.LaunchOpen && t.StartedBy == l.Deployment && t.Instance == l.Instance {
			found = append(found, t)
		}
	}
	return found
}
