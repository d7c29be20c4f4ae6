package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

const stopTimeout = 15 * time.Second // of one StopTask with its retries

// stop carries out stops. StopTask may safely be repeated.
func (w *work) stop(ctx context.Context, stops []planner.Action) error {
	var calls errgroup.Group
	calls.SetLimit(atOnce)
	for _, a := range stops[:min(len(stops), w.mayStop())] {
		calls.Go(func() error { return w.stopTask(ctx, a) })
	}
	return calls.Wait()
}

func (w *work) stopTask(ctx context.Context, a planner.Action) error {
	if err := w.Changes.Wait(ctx); err != nil {
		return fmt.Errorf("wait for a StopTask: %w", err)
	}
	if w.outdated() {
		return nil // the next look follows at once
	}
	if err := mayCall(ctx, w.term, time.Now().Add(stopTimeout)); err != nil {
		return fmt.Errorf("StopTask: %w", err)
	}
	log := w.log.WithFields(logrus.Fields{"instance": a.Instance, "task": a.Task, "reason": a.Reason})
	log.Info("stop task")
	calling, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	_, err := w.ECS.StopTask(calling, &ecs.StopTaskInput{Cluster: &w.env.Cluster, Task: &a.Task, Reason: &a.Reason})
	is, code, _ := classify(err, true)
	outcome := map[bool]string{true: "ok", false: "failed"}[err == nil]
	if is == refused {
		outcome = "refused"
	}
	w.metrics.stops.WithLabelValues(cause(a.Reason, w.env.Name), outcome).Inc()
	if is == refused {
		log.WithError(err).WithField("code", code).Warn("task not stopped")
	} else if err != nil {
		if is == unknown {
			w.noteStop(w.env.Name, a.Task) // it may have been done
		}
		return fmt.Errorf("StopTask: %w", err)
	}
	if err == nil {
		w.note(environment.Event{
			Action: environment.EventTaskStopped, Deployment: w.startedBy(a.Task), Reason: a.Reason, Count: 1,
			Instances: []environment.EventInstance{{Instance: a.Instance, Task: a.Task}},
		})
	}
	w.noteStop(w.env.Name, a.Task) // shown by the copy soon; asked again later if it is not
	return nil
}

// startedBy is the deployment that a task is of; empty when the copy does not show it.
func (w *work) startedBy(task string) string {
	for _, t := range w.tasks {
		if t.ARN == task {
			return t.StartedBy
		}
	}
	return ""
}

// mayStop is how many tasks one look may stop, each by a call of its own: who waits for calls within a look keeps others
// waiting, too.
func (w *work) mayStop() int {
	if w.Changes.Limit() == rate.Inf {
		return atMost
	}
	return min(max(int(w.Changes.Tokens()), someStops), atMost)
}
