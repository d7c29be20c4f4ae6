package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/awsconfig"
)

// grace is how long a StartTask under way may go on when this replica is no longer to act.
const grace = 2 * time.Second

var (
	errTooLate = errors.New("the call was announced too long ago")
	errNoLease = errors.New("the lease has no time left")
)

// start carries out starts, ten instances a call. They are of one deployment, or of two while one of them is a canary.
func (w *work) start(ctx context.Context, starts []planner.Action) error {
	if len(starts) == 0 {
		return nil
	}
	if void, err := w.vouch(ctx); void || err != nil {
		return err
	}
	var calls errgroup.Group
	calls.SetLimit(atOnce)
	of := map[string][]planner.Action{}
	for _, a := range starts[:min(len(starts), atMost)] {
		of[a.Launch.Deployment] = append(of[a.Launch.Deployment], a)
	}
	for _, starts := range of {
		for ten := range slices.Chunk(starts, batch) {
			calls.Go(func() error { return w.startBatch(ctx, ten) })
		}
	}
	return calls.Wait()
}

// startBatch, of one deployment, announces the launches, calls StartTask, and writes down what became of them. StartTask cannot be
// repeated safely, so whatever leaves its outcome open leaves the launches open: the planner has them settled later.
func (w *work) startBatch(ctx context.Context, starts []planner.Action) error {
	if err := w.Changes.Wait(ctx); err != nil {
		return fmt.Errorf("wait for a StartTask: %w", err)
	}
	if w.outdated() {
		return nil // the next look follows at once
	}
	notAfter := time.Now().Add(environment.LaunchWindow)
	calling, cancel := deadline(ctx, notAfter)
	defer cancel()
	announced, err := w.announce(calling, starts, notAfter)
	if err != nil {
		return fmt.Errorf("announce %d launches: %w", len(starts), err)
	}
	input := &ecs.StartTaskInput{
		Cluster: &w.env.Cluster, TaskDefinition: &announced[0].TaskDefinition, StartedBy: &announced[0].Deployment,
	}
	settings(input, w.env.RevisionFor(w.env.Deployments[announced[0].Deployment]).Spec.TaskSettings)
	for _, l := range announced {
		input.ContainerInstances = append(input.ContainerInstances, l.Instance)
	}
	var out *ecs.StartTaskOutput
	traced, sent := watchSending(calling)
	if err = mayCall(ctx, w.term, notAfter); err == nil {
		out, err = w.ECS.StartTask(traced, input, awsconfig.NoRetry)
	}
	settled, dropped, err := w.settled(announced, out, err, sent())
	if err == nil {
		w.noteStarts(starts, settled)
	}
	ending, cancelEnding := deadline(ctx, time.Now().Add(commitTimeout))
	defer cancelEnding()
	result := *w
	result.env.Incarnation = 0 // also for an environment deleted meanwhile: the launches' own revisions guard them
	return errors.Join(err, result.commit(ending, settled, dropped))
}

// mayCall is why a call that was announced until notAfter must not be made now; nil when it may. Contexts end by timers,
// which may come late to a process that was stopped for a while; clocks do not.
func mayCall(ctx context.Context, term store.Term, notAfter time.Time) error {
	switch now := time.Now(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case !now.Before(notAfter):
		return errTooLate
	case !term.Lasts(now):
		return errNoLease
	}
	return nil
}

// deadline is a context that outlives ctx by grace, so that what is under way can end well, but ends at t.
func deadline(ctx context.Context, t time.Time) (context.Context, context.CancelFunc) {
	outliving, cancel := context.WithDeadline(context.WithoutCancel(ctx), t)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(grace):
			cancel()
		case <-outliving.Done():
		}
	})
	return outliving, func() { stop(); cancel() }
}

// announce writes the launches as open, which reserves their instances for this call.
func (w *work) announce(ctx context.Context, starts []planner.Action, notAfter time.Time) ([]environment.Launch, error) {
	c := store.Changes{Name: w.env.Name, Incarnation: w.env.Incarnation}
	for _, a := range starts {
		a.Launch.NotAfter = notAfter.UTC().Round(0)
		c.Put = append(c.Put, a.Launch)
		w.log.WithFields(logrus.Fields{"instance": a.Instance, "reason": a.Reason, "attempt": a.Launch.Attempts}).Info("start task")
	}
	revision, err := w.Store.Commit(ctx, w.term, c)
	for i := range c.Put {
		c.Put[i].StoredVersion = revision
	}
	return c.Put, err
}

// settled is what is known of the announced launches after the call: records to write, and records to drop. An error
// means that another try soon is worth it.
func (w *work) settled(announced []environment.Launch, out *ecs.StartTaskOutput, err error, sent bool) (put, drop []environment.Launch, _ error) {
	switch is, code, message := classify(err, sent); is {
	case undone:
		w.count("undone", len(announced))
		put, drop = w.restored(announced)
		return put, drop, fmt.Errorf("StartTask: %w", err)
	case refused:
		w.count("failed", len(announced))
		for _, l := range announced {
			put = append(put, w.failure(l, code, message))
		}
	case unknown:
		w.count("unknown", len(announced))
		w.log.WithError(err).WithField("instances", len(announced)).Warn("StartTask without an answer")
	case succeeded:
		byInstance := map[string]environment.Launch{}
		for _, l := range announced {
			byInstance[l.Instance] = l
		}
		for _, task := range out.Tasks {
			if l, ok := byInstance[aws.ToString(task.ContainerInstanceArn)]; ok {
				put = append(put, planner.StartedLaunch(l, aws.ToString(task.TaskArn)))
				w.count("started", 1)
				w.arrived(l, aws.ToString(task.TaskArn))
				w.log.WithFields(logrus.Fields{"instance": l.Instance, "task": aws.ToString(task.TaskArn)}).Info("task started")
			}
		}
		for _, f := range out.Failures {
			if l, ok := byInstance[aws.ToString(f.Arn)]; ok {
				put = append(put, w.failure(l, aws.ToString(f.Reason), aws.ToString(f.Detail)))
				w.count("failed", 1)
			}
		}
	}
	return put, drop, nil
}

func (w *work) count(outcome string, n int) {
	w.metrics.launches.WithLabelValues(outcome).Add(float64(n))
}

// arrived notes how long an instance waited for its first task of the environment.
func (w *work) arrived(l environment.Launch, task string) {
	if _, again := w.launches[l.Instance]; again {
		return
	}
	if waited, known := w.arrivals.start(l.Instance, task); known {
		w.metrics.seenToStart.Observe(waited.Seconds())
	}
}

func (w *work) failure(l environment.Launch, reason, detail string) environment.Launch {
	if reason == "" {
		reason = "UNKNOWN"
	}
	l = planner.FailedLaunch(l, reason, detail, time.Now().UTC())
	w.log.WithFields(logrus.Fields{
		"instance": l.Instance, "reason": reason, "detail": detail, "attempt": l.Attempts, "next": l.NextAttemptAt,
	}).Warn("task not started")
	return l
}

// restored is what there was before the launches were announced.
func (w *work) restored(announced []environment.Launch) (put, drop []environment.Launch) {
	for _, l := range announced {
		if before, ok := w.launches[l.Instance]; ok {
			before.StoredVersion = l.StoredVersion
			put = append(put, before)
		} else {
			drop = append(drop, l)
		}
	}
	return put, drop
}
