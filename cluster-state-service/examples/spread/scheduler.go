package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/time/rate"

	"github.com/blox/blox/cluster-state-service/informer"
)

const (
	stale    = 30 * time.Second // an older copy of the cluster is not acted on
	perCall  = 10               // instances a StartTask
	callTime = 10 * time.Second // for a call of ECS
)

// Scheduler keeps Count tasks spread. Only one process with its StartedBy may run at a time.
type Scheduler struct {
	Informer                           *informer.Informer // somebody else runs it
	ECS                                *ecs.Client
	Cluster, TaskDefinition, StartedBy string
	Count                              int
	StartConfirmTimeout                time.Duration // after which ECS, and CSS too, usually show what was started
	Log                                func(format string, args ...any)

	unseen   map[string]begun     // by ARN: tasks that exist and that the mirror has not shown yet
	stopping map[string]time.Time // by ARN: when to ask again
	closed   map[string]time.Time // instances that refused a task, until then
	askAt    time.Time            // before anything else is started, ECS is asked what there is; zero when that is known
}

// begun is a task that was started.
type begun struct {
	instance string
	until    time.Time // then the mirror should have shown it
}

// Run looks at the whole state after every change, and each second, until ctx ends. What woke it does not matter.
func (s *Scheduler) Run(ctx context.Context) {
	s.unseen, s.stopping, s.closed = map[string]begun{}, map[string]time.Time{}, map[string]time.Time{}
	s.askAt = time.Now().Add(s.StartConfirmTimeout) // whoever ran before may have started what nobody has seen yet
	wake := make(chan struct{}, 1)                  // however much changes, one look is enough
	defer s.Informer.Subscribe(func(informer.Change) {
		select {
		case wake <- struct{}{}:
		default:
		}
	})()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	pace := rate.NewLimiter(2, 10) // looks: tasks that die at once, and ECS's limits, are reasons not to hurry
	for pace.Wait(ctx) == nil {
		if s.Informer.Synced() && s.Informer.Age(time.Now()) < stale {
			if err := s.look(ctx); err != nil && ctx.Err() == nil {
				s.Log("not there yet: %v", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-tick.C:
		}
	}
}

// look does some of what there is to do.
func (s *Scheduler) look(ctx context.Context) error {
	now := time.Now()
	over := func(_ string, until time.Time) bool { return now.After(until) }
	maps.DeleteFunc(s.stopping, over)
	maps.DeleteFunc(s.closed, over)
	for arn, b := range s.unseen {
		if s.Informer.Task(arn) != nil {
			delete(s.unseen, arn)
		} else if now.After(b.until) && s.askAt.IsZero() {
			s.askAt = now
		}
	}
	if !s.askAt.IsZero() {
		if now.Before(s.askAt) {
			return nil
		}
		if err := s.ask(ctx); err != nil {
			return err
		}
	}
	start, stop := Plan(s.Count, s.instances(), s.tasks())
	for _, arn := range stop {
		if err := s.stop(ctx, arn); err != nil {
			return err
		}
	}
	return s.start(ctx, start)
}

func (s *Scheduler) instances() (all []Instance) {
	for _, i := range s.Informer.Instances(s.Cluster) {
		instance := Instance{ARN: *i.Entity.ContainerInstanceARN, Leaving: *i.Entity.Status != "ACTIVE"}
		_, refused := s.closed[instance.ARN]
		instance.Closed = refused || !*i.Entity.AgentConnected
		for _, a := range i.Entity.Attributes {
			if *a.Name == "ecs.availability-zone" {
				instance.Zone = *a.Value
			}
		}
		all = append(all, instance)
	}
	return all
}

func (s *Scheduler) tasks() (all []Task) {
	for _, t := range s.Informer.TasksStartedBy(s.StartedBy) {
		_, stopping := s.stopping[*t.Entity.TaskARN]
		if *t.Entity.ClusterARN == s.Cluster && *t.Entity.DesiredStatus == "RUNNING" && *t.Entity.LastStatus != "STOPPED" && !stopping {
			all = append(all, Task{*t.Entity.TaskARN, *t.Entity.ContainerInstanceARN, *t.Entity.LastStatus == "RUNNING"})
		}
	}
	for arn, b := range s.unseen {
		all = append(all, Task{arn, b.instance, false})
	}
	return all
}

// start starts a task on some of the instances, and remembers the tasks until the mirror shows them. StartTask has no client
// token, so that a call that is made again may start a second task: the SDK must not, and a call without an answer is
// followed by none until ECS has been asked.
func (s *Scheduler) start(ctx context.Context, on []string) error {
	slices.Sort(on)
	on = slices.Compact(on) // one task an instance and call
	on = on[:min(len(on), perCall)]
	if len(on) == 0 {
		return nil
	}
	inTime, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	out, err := s.ECS.StartTask(inTime, &ecs.StartTaskInput{
		Cluster: &s.Cluster, TaskDefinition: &s.TaskDefinition, ContainerInstances: on, StartedBy: &s.StartedBy,
	}, func(o *ecs.Options) { o.Retryer = aws.NopRetryer{} })
	now := time.Now()
	var told *smithyhttp.ResponseError
	switch {
	case errors.As(err, &told) && told.HTTPStatusCode()/100 == 4: // refused or throttled, so nothing was started
		for _, instance := range on {
			s.closed[instance] = now.Add(s.StartConfirmTimeout)
		}
		return err
	case err != nil: // it may have been done
		s.askAt = now.Add(s.StartConfirmTimeout)
		return err
	}
	for _, t := range out.Tasks {
		s.unseen[*t.TaskArn] = begun{aws.ToString(t.ContainerInstanceArn), now.Add(s.StartConfirmTimeout)}
		s.Log("started %s on %s", *t.TaskArn, aws.ToString(t.ContainerInstanceArn))
	}
	for _, f := range out.Failures { // RESOURCE:MEMORY, AGENT, MISSING …: others are as good, and this one later
		s.closed[aws.ToString(f.Arn)] = now.Add(s.StartConfirmTimeout)
		s.Log("not started on %s: %s", aws.ToString(f.Arn), aws.ToString(f.Reason))
	}
	return nil
}

func (s *Scheduler) stop(ctx context.Context, arn string) error {
	inTime, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	reason := "spread: one too many here"
	if _, err := s.ECS.StopTask(inTime, &ecs.StopTaskInput{Cluster: &s.Cluster, Task: &arn, Reason: &reason}); err != nil {
		return err
	}
	s.stopping[arn] = time.Now().Add(s.StartConfirmTimeout)
	s.Log("stopped %s", arn)
	return nil
}

// ask has ECS say which tasks there are, and remembers those that the mirror has not shown yet.
func (s *Scheduler) ask(ctx context.Context) error {
	inTime, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	found, now := map[string]begun{}, time.Now()
	pages := ecs.NewListTasksPaginator(s.ECS, &ecs.ListTasksInput{Cluster: &s.Cluster, StartedBy: &s.StartedBy})
	for pages.HasMorePages() {
		page, err := pages.NextPage(inTime)
		if err != nil {
			return err
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		described, err := s.ECS.DescribeTasks(inTime, &ecs.DescribeTasksInput{Cluster: &s.Cluster, Tasks: page.TaskArns})
		if err != nil {
			return err
		}
		for _, t := range described.Tasks {
			if s.Informer.Task(*t.TaskArn) == nil && aws.ToString(t.DesiredStatus) != "STOPPED" {
				found[*t.TaskArn] = begun{aws.ToString(t.ContainerInstanceArn), now.Add(s.StartConfirmTimeout)}
			}
		}
	}
	for arn, b := range s.unseen {
		if _, is := found[arn]; !is && now.Before(b.until) { // too new for ECS to list it
			found[arn] = b
		}
	}
	s.unseen, s.askAt = found, time.Time{}
	return nil
}
