package engine

import (
	"context"
	"errors"
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
	arns, listed, err := w.candidates(asking, checks)
	if err != nil {
		return err
	}
	tasks, missing, err := w.describe(asking, arns)
	if err != nil {
		return fmt.Errorf("describe %d tasks: %w", len(arns), err)
	}
	var settled []environment.Launch
	undecided := 0
	for _, a := range checks {
		of := found(a.Launch, tasks)
		if a.Launch.State == environment.LaunchOpen && !slices.ContainsFunc(of, environment.Task.Live) &&
			slices.ContainsFunc(listed[a.Instance], func(arn string) bool { return missing[arn] }) {
			undecided++ // one of those that ECS names, and says nothing of yet, may be the launch's
			continue
		}
		l := planner.ConfirmLaunch(a.Launch, of, time.Now().UTC())
		w.log.WithFields(logrus.Fields{
			"instance": a.Instance, "task": l.Task, "reason": a.Reason, "state": string(l.State),
		}).Info("launch settled")
		settled = append(settled, l)
		if a.Launch.State == environment.LaunchOpen {
			w.metrics.launches.WithLabelValues(map[bool]string{true: "found", false: "lost"}[l.State == environment.LaunchStarted]).Inc()
		}
	}
	if err := w.commit(ctx, settled, nil); err != nil || undecided == 0 {
		return err
	}
	return fmt.Errorf("settle %d launches: %w", undecided, errListedButMissing)
}

// errListedButMissing tells that ECS, which is eventually consistent, lists a task that it does not describe.
var errListedButMissing = errors.New("ECS lists tasks and calls them MISSING")

// candidates are the tasks that may be the launches': of a started one its own; of an open one those that its deployment
// started, and those of its instance that are to stop, as ECS lists the running ones alone by startedBy. Those of open
// launches are also told by instance.
func (w *work) candidates(ctx context.Context, checks []planner.Action) (arns []string, listed map[string][]string, err error) {
	listed = map[string][]string{}
	byDeployment := map[string][]string{}
	for _, a := range checks {
		l := a.Launch
		if l.State == environment.LaunchStarted {
			arns = append(arns, l.Task)
			continue
		}
		if _, asked := byDeployment[l.Deployment]; l.Deployment != "" && !asked {
			of, err := w.list(ctx, &ecs.ListTasksInput{StartedBy: &l.Deployment})
			if err != nil {
				return nil, nil, fmt.Errorf("list tasks of deployment %s: %w", l.Deployment, err)
			}
			byDeployment[l.Deployment] = of
			arns = append(arns, of...)
		}
		listed[l.Instance] = append(listed[l.Instance], byDeployment[l.Deployment]...)
		on, err := w.list(ctx, &ecs.ListTasksInput{ContainerInstance: &l.Instance, DesiredStatus: types.DesiredStatusStopped})
		if err != nil {
			if is, _, _ := classify(err, true); is == refused {
				continue // ECS does not know the instance any more
			}
			return nil, nil, fmt.Errorf("list stopped tasks of instance %s: %w", l.Instance, err)
		}
		arns = append(arns, on...)
		listed[l.Instance] = append(listed[l.Instance], on...)
	}
	return arns, listed, nil
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
		if l.State == environment.LaunchStarted && t.ARN == l.Task ||
			l.State == environment.LaunchOpen && t.StartedBy == l.Deployment && t.Instance == l.Instance {
			of = append(of, t)
		}
	}
	return of
}

// describe is what ECS says of tasks; missing are those that it says nothing of.
func (w *work) describe(ctx context.Context, arns []string) (tasks []environment.Task, missing map[string]bool, err error) {
	missing = map[string]bool{}
	slices.Sort(arns)
	for some := range slices.Chunk(slices.Compact(arns), describable) {
		if err := w.Reads.Wait(ctx); err != nil {
			return nil, nil, err
		}
		out, err := w.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &w.env.Cluster, Tasks: some})
		if err != nil {
			return nil, nil, err
		}
		for _, arn := range some {
			missing[arn] = true
		}
		for _, t := range out.Tasks {
			delete(missing, aws.ToString(t.TaskArn))
			tasks = append(tasks, environment.Task{
				ARN: aws.ToString(t.TaskArn), Instance: aws.ToString(t.ContainerInstanceArn),
				StartedBy: aws.ToString(t.StartedBy), LastStatus: aws.ToString(t.LastStatus),
				DesiredStatus: aws.ToString(t.DesiredStatus), StoppedReason: aws.ToString(t.StoppedReason),
				CreatedAt: aws.ToTime(t.CreatedAt), StartedAt: aws.ToTime(t.StartedAt), StoppedAt: aws.ToTime(t.StoppedAt),
			})
		}
	}
	return tasks, missing, nil
}
