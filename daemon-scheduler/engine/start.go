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
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
)

// shutdownGrace is how long a call and its record may take after the context that they belong to has ended.
const shutdownGrace = 2 * time.Second

var (
	errAnnouncementExpired = errors.New("the announcement of the call has expired")
	errLeaseExpired        = errors.New("the leader's lease has expired")
)

// start executes starts, ten instances a call. They are of one deployment, or of two while one of them is a canary.
func (r *reconciliation) start(ctx context.Context, starts []planner.Action) error {
	if len(starts) == 0 {
		return nil
	}
	if found, err := r.verifyAgainstECS(ctx); found || err != nil {
		return err // with a task found, the plan is void
	}
	byDeployment := map[string][]planner.Action{}
	for _, a := range starts[:min(len(starts), maxActionsPerReconciliation)] {
		byDeployment[a.Launch.Deployment] = append(byDeployment[a.Launch.Deployment], a)
	}
	var calls errgroup.Group
	calls.SetLimit(maxConcurrentCalls)
	for _, starts := range byDeployment {
		for batch := range slices.Chunk(starts, ecsapi.MaxInstancesPerStartTask) {
			calls.Go(func() error { return r.startBatch(ctx, batch) })
		}
	}
	return calls.Wait()
}

// startBatch announces launches of one deployment, calls StartTask and records the outcome. A second StartTask would
// start a second task, so a launch whose outcome is unknown stays open, and the planner has it confirmed later.
func (r *reconciliation) startBatch(ctx context.Context, starts []planner.Action) error {
	if err := r.ECS.Limits.Modifications.Wait(ctx); err != nil {
		return fmt.Errorf("wait for a StartTask: %w", err)
	}
	if r.isOutdated() {
		return nil // the next reconciliation follows at once
	}
	notAfter := time.Now().Add(environment.LaunchWindow)
	callCtx, cancel := withGrace(ctx, notAfter)
	defer cancel()
	announced, err := r.announce(callCtx, starts, notAfter)
	if err != nil {
		return fmt.Errorf("announce %d launches: %w", len(starts), err)
	}
	out, outcome := r.startTask(callCtx, announced, notAfter)
	put, drop := r.launchesAfter(announced, out, outcome)
	if outcome.Class == ecsapi.NotSent {
		err = fmt.Errorf("StartTask: %w", outcome.Err)
	} else {
		r.recordStartEvents(starts, put)
	}
	commitCtx, cancelCommit := withGrace(ctx, time.Now().Add(commitTimeout))
	defer cancelCommit()
	recording := *r
	recording.env.Incarnation = 0 // also if the environment was deleted meanwhile; the launches' versions guard them
	return errors.Join(err, recording.commitLaunches(commitCtx, put, drop))
}

// announce writes the launches as open, which reserves their instances for this call.
func (r *reconciliation) announce(
	ctx context.Context, starts []planner.Action, notAfter time.Time,
) ([]environment.Launch, error) {
	announced := make([]environment.Launch, 0, len(starts))
	for _, a := range starts {
		a.Launch.NotAfter = notAfter.UTC().Round(0)
		announced = append(announced, a.Launch)
		r.log.WithFields(logrus.Fields{
			"instance": a.Instance, "reason": a.Reason, "attempt": a.Launch.Attempts,
		}).Info("task start requested")
	}
	version, err := r.commitChanges(ctx, store.Changes{Put: announced})
	for i := range announced {
		announced[i].StoredVersion = version
	}
	return announced, err
}

// startTask calls StartTask for the announced launches unless that is no longer allowed.
func (r *reconciliation) startTask(
	ctx context.Context, announced []environment.Launch, notAfter time.Time,
) (*ecs.StartTaskOutput, ecsapi.Outcome) {
	if err := checkFence(ctx, r.leader.Term, notAfter); err != nil {
		return nil, ecsapi.Withheld(err)
	}
	first := announced[0]
	input := &ecs.StartTaskInput{
		Cluster: &r.env.Cluster, TaskDefinition: &first.TaskDefinition, StartedBy: &first.Deployment,
	}
	applyTaskSettings(input, r.env.RevisionFor(r.env.Deployments[first.Deployment]).Spec.TaskSettings)
	for _, l := range announced {
		input.ContainerInstances = append(input.ContainerInstances, l.Instance)
	}
	return r.ECS.StartTask(ctx, input)
}

// checkFence returns why a call that was announced until notAfter must not go out now; nil if it may. It compares
// clocks, because the timers that end contexts may be late in a process that was suspended.
func checkFence(ctx context.Context, term store.Term, notAfter time.Time) error {
	switch now := time.Now(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case !now.Before(notAfter):
		return errAnnouncementExpired
	case !term.Lasts(now):
		return errLeaseExpired
	}
	return nil
}

// withGrace returns a context that outlives ctx by shutdownGrace but ends at deadline, so that a call that went out can
// still be recorded.
func withGrace(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	outliving, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(shutdownGrace):
			cancel()
		case <-outliving.Done():
		}
	})
	return outliving, func() { stop(); cancel() }
}

// launchesAfter returns the launch records to write and to remove after the call.
func (r *reconciliation) launchesAfter(
	announced []environment.Launch, out *ecs.StartTaskOutput, outcome ecsapi.Outcome,
) (put, drop []environment.Launch) {
	switch outcome.Class {
	case ecsapi.NotSent:
		r.metrics.countStarts(startNotSent, len(announced))
		return r.restore(announced)
	case ecsapi.Rejected:
		for _, l := range announced {
			put = append(put, r.startFailed(l, outcome.Code, outcome.Message))
		}
	case ecsapi.Unknown:
		r.metrics.countStarts(startUnknown, len(announced))
		r.log.WithError(outcome.Err).WithField("instances", len(announced)).Warn("StartTask was not answered")
	case ecsapi.Succeeded:
		put = r.launchesOfAnswer(announced, out)
	}
	return put, nil
}

// launchesOfAnswer returns the announced launches that ECS's answer names, each once: etcd refuses a transaction that
// writes one record twice, and then all launches of the call would stay open. A task overrules a failure of the same
// instance, because a failed launch would be repeated beside the task.
func (r *reconciliation) launchesOfAnswer(
	announced []environment.Launch, out *ecs.StartTaskOutput,
) (known []environment.Launch) {
	tasks, failures := map[string]types.Task{}, map[string]types.Failure{} // by instance ARN
	for _, task := range out.Tasks {
		tasks[aws.ToString(task.ContainerInstanceArn)] = task
	}
	for _, failure := range out.Failures {
		failures[aws.ToString(failure.Arn)] = failure
	}
	for _, l := range announced {
		if task, ok := tasks[l.Instance]; ok {
			known = append(known, r.started(l, aws.ToString(task.TaskArn)))
		} else if failure, ok := failures[l.Instance]; ok {
			known = append(known, r.startFailed(l, aws.ToString(failure.Reason), aws.ToString(failure.Detail)))
		}
	}
	return known
}

func (r *reconciliation) started(l environment.Launch, task string) environment.Launch {
	r.metrics.countStarts(startSucceeded, 1)
	if _, launchedBefore := r.launches[l.Instance]; !launchedBefore {
		if wait, known := r.joins.taskStarted(l.Instance, task); known {
			r.metrics.joinToStart.Observe(wait.Seconds())
		}
	}
	r.log.WithFields(logrus.Fields{"instance": l.Instance, "task": task}).Info("task started")
	return planner.StartedLaunch(l, task)
}

func (r *reconciliation) startFailed(l environment.Launch, reason, detail string) environment.Launch {
	r.metrics.countStarts(startRejected, 1)
	if reason == "" {
		reason = "UNKNOWN"
	}
	l = planner.FailedLaunch(l, reason, detail, time.Now().UTC())
	r.log.WithFields(logrus.Fields{
		"instance": l.Instance, "reason": reason, "detail": detail, "attempt": l.Attempts, "next": l.NextAttemptAt,
	}).Warn("failed to start task")
	return l
}

// restore returns the launch records as they were before the announcement.
func (r *reconciliation) restore(announced []environment.Launch) (put, drop []environment.Launch) {
	for _, l := range announced {
		if before, ok := r.launches[l.Instance]; ok {
			before.StoredVersion = l.StoredVersion
			put = append(put, before)
		} else {
			drop = append(drop, l)
		}
	}
	return put, drop
}
