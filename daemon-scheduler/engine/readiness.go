package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/ecserrors"
	"github.com/blox/blox/internal/ratelimit"
)

const (
	suppressionFor = 5 * time.Minute // for which a change that ECS rejected is not repeated
)

// attributeChange is what happens to readiness attributes. It labels a metric.
type attributeChange string

const (
	attributeSet     attributeChange = "set"
	attributeRemoved attributeChange = "removed"
)

// readinessReconciliation executes one plan for the readiness attributes of one cluster's instances.
type readinessReconciliation struct {
	*Engine
	ECS     *ecsapi.Client // for calls that concern the cluster
	leader  *leaderState
	log     logrus.FieldLogger
	cluster string // ARN
}

// reconcileReadiness reconciles the readiness attributes of one cluster's instances, and schedules the next
// reconciliation.
func (e *Engine) reconcileReadiness(ctx context.Context, leader *leaderState, clusterARN string) error {
	start := time.Now()
	plan := planner.PlanReadiness(e.buildReadinessState(leader, clusterARN, start))
	planTime := time.Since(start)
	r := &readinessReconciliation{
		Engine: e, ECS: e.ecsIn(clusterARN), leader: leader, log: e.Log.WithField("cluster", clusterARN),
		cluster: clusterARN,
	}
	err := r.execute(ctx, plan)
	if err != nil && ctx.Err() == nil {
		r.logFailure(r.log, err, warning(r.log, "failed to reconcile readiness attributes; retrying"))
	}
	if err == nil && len(plan.Remove)+len(plan.Set)+len(plan.Forget) > 0 {
		leader.readiness.Add(clusterARN)
	}
	leader.readiness.Done(clusterARN, plan.RequeueAt, err != nil, planTime)
	return err
}

// buildReadinessState returns what the caches hold that the readiness attributes of a cluster depend on.
func (e *Engine) buildReadinessState(leader *leaderState, clusterARN string, now time.Time) planner.ReadinessState {
	s := planner.ReadinessState{
		Cluster: clusterARN, Fresh: e.Cluster.FreshIn(clusterARN, now), SuppressedUntil: leader.suppressedUntil(now),
		Now: now, ConfirmTimeout: e.StartConfirmTimeout,
	}
	s.Environments, s.Attributes = e.Cache.ReadinessInputs(clusterARN)
	if !s.Fresh || len(s.Environments)+len(s.Attributes) == 0 {
		return s
	}
	s.Instances, s.Listings = e.Cluster.Instances(clusterARN), leader.listings(clusterARN)
	s.Launches = map[string]map[string]environment.Launch{}
	for _, env := range s.Environments {
		if env.AwaitsPromotion() || env.Takeover.MarksInstances() { // only then do the launches matter
			_, s.Launches[env.Name], _ = e.Cache.Environment(env.Name)
		}
		s.Tasks = append(s.Tasks, ownTasks(e.Cache, e.Cluster, env)...)
	}
	return s
}

// execute removes attributes before it sets others, at most maxActionsPerReconciliation together.
func (r *readinessReconciliation) execute(ctx context.Context, plan planner.ReadinessPlan) error {
	remove := plan.Remove[:min(len(plan.Remove), maxActionsPerReconciliation)]
	set := plan.Set[:min(len(plan.Set), maxActionsPerReconciliation-len(remove))]
	var calls errgroup.Group
	calls.SetLimit(maxConcurrentCalls)
	for batch := range slices.Chunk(remove, ecsapi.MaxAttributesPerCall) {
		calls.Go(func() error { return r.changeBatch(ctx, attributeRemoved, batch) })
	}
	for batch := range slices.Chunk(set, ecsapi.MaxAttributesPerCall) {
		calls.Go(func() error { return r.changeBatch(ctx, attributeSet, batch) })
	}
	calls.Go(func() error {
		for batch := range slices.Chunk(plan.Forget, maxLaunchesPerCommit) {
			if err := r.commit(ctx, nil, batch); err != nil {
				return err
			}
		}
		return nil
	})
	return calls.Wait()
}

func (r *readinessReconciliation) commit(ctx context.Context, put, drop []environment.ReadinessAttribute) error {
	if len(put)+len(drop) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if _, err := r.Store.CommitAttributes(ctx, r.leader.Term, put, drop); err != nil {
		return fmt.Errorf("record %d readiness attributes: %w", len(put)+len(drop), err)
	}
	return nil
}

// changeBatch announces the change of up to ten attributes, calls ECS and records the outcome. Changes are idempotent,
// but a call that was not answered may take effect after the call that follows it. The SDK therefore repeats none, and
// each attribute's record holds until when that can happen.
func (r *readinessReconciliation) changeBatch(
	ctx context.Context, change attributeChange, attributes []environment.ReadinessAttribute,
) error {
	if err := r.ECS.Limits.Modifications.Wait(ctx, ratelimit.Normal); err != nil {
		return fmt.Errorf("wait to change attributes: %w", err)
	}
	now := time.Now()
	b := &attributeBatch{
		readinessReconciliation: r, change: change, notAfter: now.Add(environment.AttributeWindow),
		isNew: map[environment.AttributeKey]bool{},
	}
	callCtx, cancel := withGrace(ctx, b.notAfter)
	defer cancel()
	announced := make([]environment.ReadinessAttribute, 0, len(attributes))
	for _, a := range attributes {
		b.isNew[a.Key()] = a.State == ""
		announced = append(announced, planner.AnnouncedAttribute(a, now))
	}
	version, err := r.Store.CommitAttributes(callCtx, r.leader.Term, announced, nil)
	if err != nil {
		return fmt.Errorf("announce %d readiness attributes: %w", len(attributes), err)
	}
	for i := range attributes {
		attributes[i].StoredVersion = version
	}
	err = b.call(ctx, callCtx, attributes)
	commitCtx, cancelCommit := withGrace(ctx, time.Now().Add(commitTimeout))
	defer cancelCommit()
	return errors.Join(err, r.commit(commitCtx, b.put, b.drop))
}

// attributeBatch is one announced change of attributes and its outcome.
type attributeBatch struct {
	*readinessReconciliation
	change   attributeChange
	notAfter time.Time                         // the end of the announcement
	isNew    map[environment.AttributeKey]bool // those without a record before the announcement
	split    bool                              // ECS rejected a call that it may have executed in part
	put      []environment.ReadinessAttribute  // records to write
	drop     []environment.ReadinessAttribute  // records to remove
}

// call changes the attributes; their records are as they were before the announcement. If ECS rejects the call because
// of one attribute, call repeats it for each half.
func (b *attributeBatch) call(ctx, callCtx context.Context, attributes []environment.ReadinessAttribute) error {
	outcome := b.callECS(ctx, callCtx, attributes)
	instanceGone := outcome.Code == "TargetNotFoundException"
	if (instanceGone || outcome.Code == "AttributeLimitExceededException") && len(attributes) > 1 {
		return b.callHalves(ctx, callCtx, attributes)
	}
	instanceGone = instanceGone || outcome.Code == "ClusterNotFoundException"
	b.metrics.countAttributes(b.change, outcome, instanceGone, len(attributes))
	log := b.log.WithFields(logrus.Fields{"attributes": names(attributes), "change": string(b.change)})
	switch {
	case outcome.Class == ecserrors.Succeeded:
		b.callFailures.Succeeded()
		log.Info("readiness attributes changed")
		for _, a := range attributes {
			b.record(planner.AnsweredAttribute(a, b.change == attributeSet, b.StartConfirmTimeout, time.Now()))
		}
		return nil
	case outcome.Class == ecserrors.Rejected: // as ECS would reject the next attempt
		log.WithError(outcome.Err).Warn("failed to change readiness attributes")
		b.leader.suppress(attributes, time.Now().Add(suppressionFor))
		for _, a := range attributes {
			if instanceGone || !b.split {
				b.record(a, instanceGone || b.isNew[a.Key()])
			}
		}
		return nil
	case outcome.Class == ecserrors.NotSent && !b.split:
		for _, a := range attributes {
			b.record(a, b.isNew[a.Key()])
		}
	}
	return fmt.Errorf("readiness attributes not %s: %w", b.change, outcome.Err)
}

func (b *attributeBatch) callHalves(ctx, callCtx context.Context, attributes []environment.ReadinessAttribute) error {
	b.split = true
	half := len(attributes) / 2
	for _, part := range [][]environment.ReadinessAttribute{attributes[:half], attributes[half:]} {
		if err := b.ECS.Limits.Modifications.Wait(callCtx, ratelimit.Normal); err != nil {
			return fmt.Errorf("wait to change attributes: %w", err)
		}
		if err := b.call(ctx, callCtx, part); err != nil {
			return err
		}
	}
	return nil
}

// record has the attribute's record written, or removed if it is obsolete.
func (b *attributeBatch) record(a environment.ReadinessAttribute, obsolete bool) {
	if obsolete {
		b.drop = append(b.drop, a)
		return
	}
	b.put = append(b.put, a)
}

func (b *attributeBatch) callECS(
	ctx, callCtx context.Context, attributes []environment.ReadinessAttribute,
) ecserrors.Outcome {
	if err := checkFence(ctx, b.leader.Term, b.notAfter); err != nil {
		return ecserrors.Withheld(err)
	}
	input := make([]types.Attribute, 0, len(attributes))
	for _, a := range attributes {
		attribute := types.Attribute{Name: &a.Name, TargetId: &a.Instance, TargetType: types.TargetTypeContainerInstance}
		if b.change == attributeSet {
			attribute.Value = conv.Pointer(environment.ReadyValue)
		}
		input = append(input, attribute)
	}
	if b.change == attributeSet {
		return b.ECS.PutAttributes(callCtx, b.cluster, input)
	}
	return b.ECS.DeleteAttributes(callCtx, b.cluster, input)
}

// names lists attributes and their instances for the log.
func names(attributes []environment.ReadinessAttribute) (list []string) {
	for _, a := range attributes {
		list = append(list, a.Name+" on "+a.Instance)
	}
	return list
}
