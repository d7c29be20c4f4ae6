package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
)

// work is the carrying out of one plan.
type work struct {
	*Engine
	term     store.Term
	env      environment.Environment
	launches map[string]environment.Launch
	tasks    []environment.Task // as the copy has them
	log      logrus.FieldLogger
	revision int64 // of the environment's record as planned with, or as this look has written it
}

// outdated tells whether the environment's record has changed since the plan was made, so that the rest of it is void: an
// answer to whoever changed it is kept from then on.
func (w *work) outdated() bool {
	env, _, err := w.Store.Copied(w.env.Name)
	return err != nil || env.Incarnation != w.env.Incarnation || env.StoredVersion != w.revision
}

// progress notes how the deployment is doing, where that is news.
func (w *work) progress(ctx context.Context, plan planner.Plan, now time.Time) error {
	next, changed := w.env.RecordProgress(plan.Deployment, plan.Progress, now)
	if plan.FailureReason != "" {
		next, changed = next.Fail(plan.Deployment, plan.FailureReason, uuid.NewString(), now), true
		w.log.WithField("reason", plan.FailureReason).Warn("deployment failed")
	}
	if !changed {
		return nil
	}
	d, untrimmed := next.Deployments[plan.Deployment], next
	next = next.TrimDeployments(w.History, func(id string) bool { return plan.InUse[id] })
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	revision, err := w.Store.Commit(ctx, w.term, store.Changes{Name: w.env.Name, Incarnation: w.env.Incarnation, Environment: &next})
	if err != nil {
		return fmt.Errorf("note progress: %w", err)
	}
	w.revision = revision
	w.moved(w.env.Name) // what is in effect may be another revision
	w.noteProgress(w.env.Deployments[plan.Deployment], d, untrimmed)
	w.log.WithFields(logrus.Fields{
		"status": d.Status.String(), "health": d.Health.String(), "failed": len(plan.Failed),
	}).Info("deployment progress")
	return nil
}

// remove ends the deletion of an environment. Its launches go after it.
func (w *work) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if _, err := w.Store.Commit(ctx, w.term, store.Changes{Name: w.env.Name, Incarnation: w.env.Incarnation, Remove: &w.env}); err != nil {
		return fmt.Errorf("remove the environment: %w", err)
	}
	w.moved(w.env.Name)
	w.note(environment.Event{Action: environment.EventEnvironmentDeleted})
	w.log.Info("environment deleted")
	return nil
}

// write carries out what concerns launch records alone.
func (w *work) write(ctx context.Context, notes, forgets []planner.Action) error {
	var put, drop []environment.Launch
	for _, a := range notes {
		w.log.WithFields(logrus.Fields{
			"instance": a.Instance, "task": a.Launch.Task, "reason": a.Reason, "state": string(a.Launch.State),
			"detail": a.Launch.Detail,
		}).Info("note launch")
		put = append(put, a.Launch)
	}
	for _, a := range forgets {
		drop = append(drop, a.Launch)
	}
	return w.commit(ctx, put, drop)
}

const launchesAtOnce = 100 // in one transaction

func (w *work) commit(ctx context.Context, put, drop []environment.Launch) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	for len(put)+len(drop) > 0 {
		c := store.Changes{Name: w.env.Name, Incarnation: w.env.Incarnation}
		c.Put, put = put[:min(len(put), launchesAtOnce)], put[min(len(put), launchesAtOnce):]
		room := launchesAtOnce - len(c.Put)
		c.Delete, drop = drop[:min(len(drop), room)], drop[min(len(drop), room):]
		if _, err := w.Store.Commit(ctx, w.term, c); err != nil {
			return fmt.Errorf("write launches: %w", err)
		}
	}
	return nil
}

func (w *work) both(a, b func() error) error {
	var errA, errB error
	var group sync.WaitGroup
	group.Go(func() { errA = a() })
	group.Go(func() { errB = b() })
	group.Wait()
	return errors.Join(errA, errB)
}
