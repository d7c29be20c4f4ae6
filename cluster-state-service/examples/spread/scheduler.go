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
	maxAge      = 30 * time.Second // of the copy: the scheduler does not act on an older one
	maxPerCall  = 10               // instances of one StartTask call
	callTimeout = 10 * time.Second // of a call to ECS
)

// Scheduler keeps Count tasks spread. Only one process with its StartedBy may run at a time.
type Scheduler struct {
	Informer                           *informer.Informer // the caller runs it
	ECS                                *ecs.Client
	Cluster, TaskDefinition, StartedBy string
	Count                              int
	StartConfirmTimeout                time.Duration // time after which ECS and CSS show a started task
	Log                                func(format string, args ...any)

	unconfirmed   map[string]startedTask // by ARN: started tasks that the informer does not show yet
	stopping      map[string]time.Time   // by ARN: when to repeat the stop
	unschedulable map[string]time.Time   // by ARN: instances that rejected a task, and until when to skip them
	verifyAt      time.Time              // when to list the tasks in ECS; nothing starts before. Zero if not needed
}

// startedTask is a task that ECS has accepted.
type startedTask struct {
	instance string
	until    time.Time // by then the informer should show it
}

// Run reconciles the whole state after every change, and every second, until ctx is cancelled. Which change woke it
// does not matter.
func (s *Scheduler) Run(ctx context.Context) {
	s.unconfirmed = map[string]startedTask{}
	s.stopping = map[string]time.Time{}
	s.unschedulable = map[string]time.Time{}
	// A previous process may have started tasks that are not visible yet.
	s.verifyAt = time.Now().Add(s.StartConfirmTimeout)
	wake := make(chan struct{}, 1) // coalesces changes
	defer s.Informer.Subscribe(func(informer.Change) {
		select {
		case wake <- struct{}{}:
		default:
		}
	})()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	limiter := rate.NewLimiter(2, 10) // bounds the restarts of tasks that die at once
	for limiter.Wait(ctx) == nil {
		if s.Informer.Synced() && s.Informer.Age(time.Now()) < maxAge {
			if err := s.reconcile(ctx); err != nil && ctx.Err() == nil {
				s.Log("failed to reconcile; retrying: %v", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-tick.C:
		}
	}
}

// reconcile takes the next steps toward the desired state.
func (s *Scheduler) reconcile(ctx context.Context) error {
	now := time.Now()
	expired := func(_ string, until time.Time) bool { return now.After(until) }
	maps.DeleteFunc(s.stopping, expired)
	maps.DeleteFunc(s.unschedulable, expired)
	for arn, b := range s.unconfirmed {
		if s.Informer.Task(arn) != nil {
			delete(s.unconfirmed, arn)
		} else if now.After(b.until) && s.verifyAt.IsZero() {
			s.verifyAt = now
		}
	}
	if !s.verifyAt.IsZero() {
		if now.Before(s.verifyAt) {
			return nil
		}
		if err := s.verify(ctx); err != nil {
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
		instance := Instance{ARN: *i.Entity.ContainerInstanceARN, Draining: *i.Entity.Status != "ACTIVE"}
		_, rejected := s.unschedulable[instance.ARN]
		instance.Unschedulable = rejected || !*i.Entity.AgentConnected
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
		task := t.Entity
		_, stopping := s.stopping[*task.TaskARN]
		live := *task.DesiredStatus == "RUNNING" && *task.LastStatus != "STOPPED"
		if *task.ClusterARN == s.Cluster && live && !stopping {
			all = append(all, Task{*task.TaskARN, *task.ContainerInstanceARN, *task.LastStatus == "RUNNING"})
		}
	}
	for arn, b := range s.unconfirmed {
		all = append(all, Task{arn, b.instance, false})
	}
	return all
}

// start starts a task on some of the instances and remembers the tasks until the informer shows them. StartTask has
// no client token, so a repeated call may start a second task. The SDK must therefore not retry, and after a call
// without an answer the scheduler verifies against ECS before the next one.
func (s *Scheduler) start(ctx context.Context, on []string) error {
	slices.Sort(on)
	on = slices.Compact(on) // at most one task an instance in a call
	on = on[:min(len(on), maxPerCall)]
	if len(on) == 0 {
		return nil
	}
	callCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := s.ECS.StartTask(callCtx, &ecs.StartTaskInput{
		Cluster: &s.Cluster, TaskDefinition: &s.TaskDefinition, ContainerInstances: on, StartedBy: &s.StartedBy,
	}, func(o *ecs.Options) { o.Retryer = aws.NopRetryer{} })
	now := time.Now()
	var response *smithyhttp.ResponseError
	switch {
	case errors.As(err, &response) && response.HTTPStatusCode()/100 == 4: // rejected or throttled, so no task was started
		for _, instance := range on {
			s.unschedulable[instance] = now.Add(s.StartConfirmTimeout)
		}
		return err
	case err != nil: // the tasks may have been started
		s.verifyAt = now.Add(s.StartConfirmTimeout)
		return err
	}
	for _, t := range out.Tasks {
		s.unconfirmed[*t.TaskArn] = startedTask{aws.ToString(t.ContainerInstanceArn), now.Add(s.StartConfirmTimeout)}
		s.Log("started %s on %s", *t.TaskArn, aws.ToString(t.ContainerInstanceArn))
	}
	for _, f := range out.Failures { // RESOURCE:MEMORY, AGENT, MISSING …: skip the instance for a while
		s.unschedulable[aws.ToString(f.Arn)] = now.Add(s.StartConfirmTimeout)
		s.Log("failed to start on %s: %s", aws.ToString(f.Arn), aws.ToString(f.Reason))
	}
	return nil
}

func (s *Scheduler) stop(ctx context.Context, arn string) error {
	callCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reason := "spread: surplus task"
	input := ecs.StopTaskInput{Cluster: &s.Cluster, Task: &arn, Reason: &reason}
	if _, err := s.ECS.StopTask(callCtx, &input); err != nil {
		return err
	}
	s.stopping[arn] = time.Now().Add(s.StartConfirmTimeout)
	s.Log("stopped %s", arn)
	return nil
}

// verify lists the tasks in ECS and remembers the tasks that the informer does not show yet.
func (s *Scheduler) verify(ctx context.Context) error {
	callCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found := map[string]startedTask{}
	now := time.Now()
	pages := ecs.NewListTasksPaginator(s.ECS, &ecs.ListTasksInput{Cluster: &s.Cluster, StartedBy: &s.StartedBy})
	for pages.HasMorePages() {
		page, err := pages.NextPage(callCtx)
		if err != nil {
			return err
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		described, err := s.ECS.DescribeTasks(callCtx, &ecs.DescribeTasksInput{Cluster: &s.Cluster, Tasks: page.TaskArns})
		if err != nil {
			return err
		}
		for _, t := range described.Tasks {
			if s.Informer.Task(*t.TaskArn) == nil && aws.ToString(t.DesiredStatus) != "STOPPED" {
				found[*t.TaskArn] = startedTask{aws.ToString(t.ContainerInstanceArn), now.Add(s.StartConfirmTimeout)}
			}
		}
	}
	for arn, b := range s.unconfirmed {
		if _, listed := found[arn]; !listed && now.Before(b.until) { // too recent to be listed
			found[arn] = b
		}
	}
	s.unconfirmed = found
	s.verifyAt = time.Time{}
	return nil
}
