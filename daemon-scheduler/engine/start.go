package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/ratelimit"
)

// Calls of StartTask in one reconciliation: minStartCalls at least, and more only while the limiter has tokens left.
const (
	minStartCalls = 10
	maxStartCalls = 40
)

// shutdownGrace is how long a call and its record may take after the context that they belong to has ended.
const shutdownGrace = 2 * time.Second

// start executes starts, ten instances a call. They are of one deployment, or of two while one of them is a canary.
func (r *reconciliation) start(ctx context.Context, starts []planner.Action) error {
	if len(starts) == 0 {
		return nil
	}
	if found, err := r.verifyAgainstECS(ctx); found || err != nil {
		return err // with a task found, the plan is void
	}
	byDeployment := map[string][]planner.Action{}
	for _, a := range starts[:min(len(starts), maxStarts(r.ECS.Limits.Modifications))] {
		byDeployment[a.Launch.Deployment] = append(byDeployment[a.Launch.Deployment], a)
	}
	var failures []error
	var calls errgroup.Group
	calls.SetLimit(maxConcurrentCalls)
	for deployment, starts := range byDeployment {
		if r.conditions.has(r.env.Name, callConditions...) || !r.isAccepted(deployment) {
			err := r.startBatch(ctx, starts[:1])
			failures = append(failures, err)
			if err != nil || !r.isAccepted(deployment) {
				continue // the next reconciliation tries another instance
			}
			starts = starts[1:]
		}
		for batch := range slices.Chunk(starts, ecsapi.MaxInstancesPerStartTask) {
			calls.Go(func() error { return r.startBatch(ctx, batch) })
		}
	}
	return errors.Join(append(failures, calls.Wait())...)
}

// maxStarts returns how many tasks one reconciliation may start: as many as there are tokens for, so that it does not
// wait long while its plan ages. The tokens that the bucket receives during a reconciliation are those of the next one.
func maxStarts(limiter *ratelimit.Limiter) int {
	calls := max(limiter.Available(maxStartCalls), minStartCalls)
	return calls * ecsapi.MaxInstancesPerStartTask
}

// startBatch announces launches of one deployment, calls StartTask and records the outcome. A second StartTask would
// start a second task, so a launch whose outcome is unknown stays open, and the planner has it confirmed later.
func (r *reconciliation) startBatch(ctx context.Context, starts []planner.Action) error {
	if err := r.ECS.Limits.Modifications.Wait(ctx, ratelimit.High); err != nil {
		return fmt.Errorf("wait for a StartTask: %w", err)
	}
	if r.isOutdated() || r.callFailed.Load() {
		return nil // another reconciliation follows
	}
	starts = slices.DeleteFunc(slices.Clone(starts), func(a planner.Action) bool { return !r.canStartOn(a.Instance) })
	if len(starts) == 0 {
		return nil // another reconciliation follows
	}
	announcedAt := time.Now()
	notAfter := announcedAt.Add(environment.LaunchWindow)
	callCtx, cancel := withGrace(ctx, notAfter)
	defer cancel()
	announced, err := r.announce(callCtx, starts, notAfter)
	if err != nil {
		return fmt.Errorf("announce %d launches: %w", len(starts), err)
	}
	r.leader.recordAnnounced(r.env.Name, announced, announcedAt)
	call := &startCall{reconciliation: r, notAfter: notAfter}
	err = call.send(callCtx, announced)
	r.recordStartEvents(starts, call.known)
	commitCtx, cancelCommit := withGrace(ctx, time.Now().Add(commitTimeout))
	defer cancelCommit()
	recording := *r
	recording.env.Incarnation = 0 // also if the environment was deleted meanwhile; the launches' versions guard them
	return errors.Join(err, recording.commitLaunches(commitCtx, store.Changes{
		Put: slices.Concat(call.known, call.restored), Delete: call.drop,
	}))
}

// canStartOn reports whether a task may still be started on the instance. While the call waited for a token, the
// instance may have begun to drain, lost its agent or left.
func (r *reconciliation) canStartOn(instance string) bool {
	i, found := r.Cluster.Instance(instance)
	return found && i.CanRunTasks() && r.Cluster.FreshIn(r.env.Cluster, time.Now())
}

// announce writes the launches as open, which reserves their instances for this call.
func (r *reconciliation) announce(
	ctx context.Context, starts []planner.Action, notAfter time.Time,
) ([]environment.Launch, error) {
	announced := make([]environment.Launch, 0, len(starts))
	level := r.requestLevel()
	for _, a := range starts {
		a.Launch.NotAfter = notAfter.UTC().Round(0)
		announced = append(announced, a.Launch)
		r.log.WithFields(logrus.Fields{
			"instance": a.Instance, "reason": a.Reason, "attempt": a.Launch.Attempts,
		}).Log(level, "task start requested")
	}
	version, err := r.commitChanges(ctx, store.Changes{Put: announced})
	for i := range announced {
		announced[i].StoredVersion = version
	}
	return announced, err
}

// requestLevel returns the level at which calls of ECS are logged.
func (r *reconciliation) requestLevel() logrus.Level {
	if r.conditions.has(r.env.Name, callConditions...) {
		return logrus.DebugLevel // the failure has been logged, and the call is its next retry
	}
	return logrus.InfoLevel
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
