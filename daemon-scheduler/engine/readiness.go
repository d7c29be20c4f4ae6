package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/daemon-scheduler/store"
)

// lookAtReadiness brings the readiness attributes of one cluster's instances to what they should be, and decides when to
// look at them again.
func (e *Engine) lookAtReadiness(ctx context.Context, q *queue, clusterARN string) error {
	began := time.Now()
	plan := planner.PlanReadiness(e.readiness(clusterARN, began))
	planned := time.Since(began)
	w := &attestation{Engine: e, term: e.term.Term, log: e.Log.WithField("cluster", clusterARN), cluster: clusterARN}
	some, err := w.carryOut(ctx, plan)
	if err != nil && ctx.Err() == nil {
		if errors.Is(err, environment.ErrConflict) {
			w.log.WithError(err).Debug("looking again")
		} else {
			w.log.WithError(err).Warn("readiness attributes are not there yet")
		}
	}
	if some && err == nil {
		q.Add(clusterARN)
	}
	q.Done(clusterARN, plan.RequeueAt, err != nil, planned)
	return err
}

// readiness is what the copies hold that the readiness attributes of a cluster depend on.
func (e *Engine) readiness(clusterARN string, now time.Time) planner.ReadinessState {
	s := planner.ReadinessState{
		Cluster: clusterARN, Fresh: e.Cluster.Fresh(now), SuppressedUntil: e.term.putAsideAt(now), Now: now, ConfirmTimeout: e.Settle,
	}
	if s.Environments, s.Attributes = e.Store.ReadinessInputs(clusterARN); !s.Fresh || len(s.Environments)+len(s.Attributes) == 0 {
		return s
	}
	s.Instances = e.Cluster.Instances(clusterARN)
	for _, env := range s.Environments {
		s.Tasks = append(s.Tasks, e.Cluster.Tasks(clusterARN, slices.Collect(maps.Keys(env.Deployments))...)...)
	}
	return s
}

// attestation is the carrying out of what was decided about one cluster.
type attestation struct {
	*Engine
	term    store.Term
	log     logrus.FieldLogger
	cluster string // ARN
}

// carryOut removes before it sets, and tells whether there was anything to do.
func (w *attestation) carryOut(ctx context.Context, plan planner.ReadinessPlan) (some bool, err error) {
	var calls errgroup.Group
	calls.SetLimit(atOnce)
	room := atMost
	for _, todo := range []struct {
		change
		marks []environment.ReadinessAttribute
	}{{removal, plan.Remove}, {setting, plan.Set}} {
		marks := todo.marks[:min(len(todo.marks), room)]
		room -= len(marks)
		for ten := range slices.Chunk(marks, batch) {
			calls.Go(func() error { return w.change(ctx, todo.change, ten) })
		}
	}
	calls.Go(func() error {
		for some := range slices.Chunk(plan.Forget, launchesAtOnce) {
			if err := w.mark(ctx, nil, some); err != nil {
				return err
			}
		}
		return nil
	})
	return len(plan.Remove)+len(plan.Set)+len(plan.Forget) > 0, calls.Wait()
}

func (w *attestation) mark(ctx context.Context, put, drop []environment.ReadinessAttribute) error {
	if len(put)+len(drop) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if _, err := w.Store.CommitAttributes(ctx, w.term, put, drop); err != nil {
		return fmt.Errorf("record %d readiness attributes: %w", len(put)+len(drop), err)
	}
	return nil
}
