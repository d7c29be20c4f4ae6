package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/ecserrors"
	"github.com/blox/blox/internal/ratelimit"
)

// startCall is one announced StartTask and the outcomes of its launches. Launches that it does not list stay open.
type startCall struct {
	*reconciliation
	notAfter time.Time            // the end of the announcement
	known    []environment.Launch // whose outcome is known, to write
	restored []environment.Launch // records as they were before the announcement, to write
	drop     []environment.Launch // that had no record before the announcement, to remove
}

// send calls StartTask for announced launches of one deployment. If ECS rejects the call because of one instance, send
// repeats it for each half. It returns an error if a call failed because of the scheduler or ECS itself.
func (c *startCall) send(ctx context.Context, announced []environment.Launch) error {
	out, outcome := c.startTask(ctx, announced)
	c.recordAnswer(announced, outcome)
	switch {
	case outcome.Class == ecserrors.Rejected && outcome.Scope == ecserrors.ScopeInstance && len(announced) > 1:
		return c.sendHalves(ctx, announced)
	case outcome.Class == ecserrors.Succeeded:
		c.known = append(c.known, c.launchesOfAnswer(announced, out)...)
		return nil
	case outcome.Class == ecserrors.Unknown:
		c.metrics.countStarts(startUnknown, len(announced))
		c.log.WithError(outcome.Err).WithField("instances", len(announced)).Debug("no response to StartTask")
	case outcome.Scope == ecserrors.ScopeCaller:
		c.restore(announced)
	case outcome.Scope == ecserrors.ScopeDeployment && len(announced) > 1: // the next call tries one of them
		c.log.WithError(outcome.Err).WithField("instances", len(announced)).Warn("ECS rejected the deployment's tasks")
		c.restore(announced)
		return nil
	default:
		for _, l := range announced {
			failed := c.startFailed(l, outcome.Code, outcome.Message)
			failed.Refused = outcome.Scope == ecserrors.ScopeDeployment
			c.known = append(c.known, failed)
		}
		return nil
	}
	return fmt.Errorf("StartTask: %w", outcome.Err)
}

func (c *startCall) sendHalves(ctx context.Context, announced []environment.Launch) (err error) {
	half := len(announced) / 2
	for _, part := range [][]environment.Launch{announced[:half], announced[half:]} {
		if err == nil {
			err = c.ECS.Limits.Modifications.Wait(ctx, ratelimit.High)
		}
		if err != nil {
			c.restore(part)
			continue
		}
		var ready, gone []environment.Launch
		for _, l := range part {
			if c.canStartOn(l.Instance) {
				ready = append(ready, l)
			} else {
				gone = append(gone, l)
			}
		}
		c.restore(gone)
		if len(ready) > 0 {
			err = c.send(ctx, ready)
		}
	}
	return err
}

// restore has the launch records written as they were before the announcement: nothing was started, so nothing counts.
func (c *startCall) restore(announced []environment.Launch) {
	c.metrics.countStarts(startNotSent, len(announced))
	for _, l := range announced {
		if before, ok := c.launches[l.Instance]; ok {
			before.StoredVersion = l.StoredVersion
			c.restored = append(c.restored, before)
		} else {
			c.drop = append(c.drop, l)
		}
	}
}

// startTask calls StartTask for the announced launches unless that is no longer allowed.
func (c *startCall) startTask(
	ctx context.Context, announced []environment.Launch,
) (*ecs.StartTaskOutput, ecserrors.Outcome) {
	if err := checkFence(ctx, c.leader.Term, c.notAfter); err != nil {
		return nil, ecserrors.Withheld(err)
	}
	first := announced[0]
	input := &ecs.StartTaskInput{
		Cluster: &c.env.Cluster, TaskDefinition: &first.TaskDefinition, StartedBy: &first.Deployment,
	}
	applyTaskSettings(input, c.env.RevisionFor(c.env.Deployments[first.Deployment]).Spec.TaskSettings)
	for _, l := range announced {
		input.ContainerInstances = append(input.ContainerInstances, l.Instance)
	}
	return c.ECS.StartTask(ctx, input)
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
