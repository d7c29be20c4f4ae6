package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

const (
	checkTimeout = time.Minute // of all questions of one check
	describable  = 100         // tasks of one DescribeTasks
	checkAtMost  = 10          // launches of one look: when one question fails, little is asked again
)

// check asks ECS what became of launches and writes it down.
func (w *work) check(ctx context.Context, checks []planner.Action) error {
	checks = checks[:min(len(checks), checkAtMost)]
	if len(checks) == 0 {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	arns, err := w.candidates(asking, checks)
	if err != nil {
		return err
	}
	tasks, err := w.describe(asking, arns)
	if err != nil {
		return fmt.Errorf("describe %d tasks: %w", len(arns), err)
	}
	var settled []environment.Launch
	for _, a := range checks {
		l := planner.Settle(a.Launch, found(a.Launch, tasks), time.Now().UTC())
		w.log.WithFields(logrus.Fields{
			"instance": a.Instance, "task": l.Task, "reason": a.Reason, "state": string(l.State),
		}).Info("launch settled")
		settled = append(settled, l)
		if a.Launch.State == environment.Open {
			w.metrics.launches.WithLabelValues(map[bool]string{true: "found", false: "lost"}[l.State == environment.Started]).Inc()
		}
	}
	return w.commit(ctx, settled, nil)
}

// candidates are the tasks that may be the launches': of a started one its own; of an open one those that its deployment
// started, and those of its instance that are to stop, as ECS lists the running ones alone by startedBy.
func (w *work) candidates(ctx context.Context, checks []planner.Action) (arns []string, err error) {
	listed := map[string]bool{} // deployments
	for _, a := range checks {
		l := a.Launch
		if l.State == environment.Started {
			arns = append(arns, l.Task)
			continue
		}
		if l.Deployment != "" && !listed[l.Deployment] {
			listed[l.Deployment] = true
			of, err := w.list(ctx, &ecs.ListTasksInput{StartedBy: &l.Deployment})
			if err != nil {
				return nil, fmt.Errorf("list tasks of deployment %s: %w", l.Deployment, err)
			}
			arns = append(arns, of...)
		}
		on, err := w.list(ctx, &ecs.ListTasksInput{ContainerInstance: &l.Instance, DesiredStatus: types.DesiredStatusStopped})
		if err != nil {
			if is, _, _ := classify(err, true); is == refused {
				continue // ECS does not know the instance any more
			}
			return nil, fmt.Errorf("list stopped tasks of instance %s: %w", l.Instance, err)
		}
		arns = append(arns, on...)
	}
	return arns, nil
}

// list is the ARNs of the cluster's tasks that input, but for the cluster, asks for.
func (w *work) list(ctx context.Context, input *ecs.ListTasksInput) (arns []string, err error) {
	input.Cluster = &w.env.Cluster
	for pages := ecs.NewListTasksPaginator(w.ECS, input); pages.HasMorePages(); {
		if err := w.Reads.Wait(ctx); err != nil {
			return nil, err
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		arns = append(arns, page.TaskArns...)
	}
	return arns, nil
}

// found are the tasks that may be the launch's.
func found(l environment.Launch, tasks []environment.Task) (of []environment.Task) {
	for _, t := range tasks {
		if l.State == environment.Started && t.ARN == l.Task ||
			l.State == environment.Open && t.StartedBy == l.Deployment && t.Instance == l.Instance {
			of = append(of, t)
		}
	}
	return of
}

func (w *work) describe(ctx context.Context, arns []string) (tasks []environment.Task, err error) {
	slices.Sort(arns)
	for some := range slices.Chunk(slices.Compact(arns), describable) {
		if err := w.Reads.Wait(ctx); err != nil {
			return nil, err
		}
		out, err := w.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &w.env.Cluster, Tasks: some})
		if err != nil {
			return nil, err
		}
		for _, t := range out.Tasks {
			tasks = append(tasks, environment.Task{
				ARN: aws.ToString(t.TaskArn), Instance: aws.ToString(t.ContainerInstanceArn),
				StartedBy: aws.ToString(t.StartedBy), LastStatus: aws.ToString(t.LastStatus),
				DesiredStatus: aws.ToString(t.DesiredStatus), StoppedReason: aws.ToString(t.StoppedReason),
				CreatedAt: aws.ToTime(t.CreatedAt), StartedAt: aws.ToTime(t.StartedAt), StoppedAt: aws.ToTime(t.StoppedAt),
			})
		}
	}
	return tasks, nil
}
