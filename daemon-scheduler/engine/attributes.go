package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/awsconfig"
)

// readyValue is the value of a readiness attribute.
const readyValue = "true"

// asideFor is how long ECS is not asked again to change an attribute that it refused to change.
const asideFor = 5 * time.Minute

// change is what becomes of readiness attributes.
type change string

const (
	setting change = "set"
	removal change = "removed"
)

// change announces what is to become of up to ten attributes, calls ECS, and records what came of it. Calls may be
// repeated, but one that is never answered might take effect after the one that follows it; so the SDK repeats none, and a
// mark remembers until when that can be.
func (w *attestation) change(ctx context.Context, to change, before []environment.ReadinessAttribute) error {
	if err := w.Changes.Wait(ctx); err != nil {
		return fmt.Errorf("wait to change attributes: %w", err)
	}
	now := time.Now()
	notAfter := now.Add(environment.AttributeWindow)
	calling, cancel := deadline(ctx, notAfter)
	defer cancel()
	announced := make([]environment.ReadinessAttribute, 0, len(before))
	for _, m := range before {
		announced = append(announced, planner.AnnouncedAttribute(m, now))
	}
	revision, err := w.Store.CommitAttributes(calling, w.term, announced, nil)
	if err != nil {
		return fmt.Errorf("announce %d readiness attributes: %w", len(before), err)
	}
	for i := range before {
		before[i].StoredVersion = revision
	}
	r := result{to: to, fresh: map[environment.AttributeKey]bool{}}
	for _, m := range before {
		r.fresh[m.Key()] = m.State == ""
	}
	err = w.call(ctx, calling, &r, before, notAfter)
	ending, cancelEnding := deadline(ctx, time.Now().Add(commitTimeout))
	defer cancelEnding()
	return errors.Join(err, w.mark(ending, r.put, r.drop))
}

// result is what calls came to.
type result struct {
	to        change
	fresh     map[environment.AttributeKey]bool // those of which there was no record
	partly    bool                              // a call was refused that may have been done in part
	put, drop []environment.ReadinessAttribute  // to be recorded
}

// call makes the change; marks are as they were before it was announced. When ECS refuses because of one of them, each half
// is tried alone.
func (w *attestation) call(ctx, calling context.Context, r *result, marks []environment.ReadinessAttribute, notAfter time.Time) error {
	traced, sent := watchSending(calling)
	err := mayCall(ctx, w.term, notAfter)
	if err == nil {
		err = w.ask(traced, r.to, marks)
	}
	is, code, _ := classify(err, sent())
	aboutOne := code == "TargetNotFoundException" || code == "AttributeLimitExceededException"
	if aboutOne && len(marks) > 1 {
		half := len(marks) / 2
		r.partly = true
		for _, some := range [][]environment.ReadinessAttribute{marks[:half], marks[half:]} {
			if err := w.Changes.Wait(calling); err != nil {
				return fmt.Errorf("wait to change attributes: %w", err)
			}
			if err := w.call(ctx, calling, r, some, notAfter); err != nil {
				return err
			}
		}
		return nil
	}
	gone := code == "TargetNotFoundException" || code == "ClusterNotFoundException"
	cameTo := map[outcome]string{succeeded: "ok", refused: "refused", undone: "undone", unknown: "unknown"}[is]
	if gone {
		cameTo = "gone"
	}
	w.metrics.readiness.WithLabelValues(string(r.to), cameTo).Add(float64(len(marks)))
	log := w.log.WithField("attributes", inWords(marks))
	switch {
	case is == succeeded:
		log.WithField("change", string(r.to)).Info("readiness attributes changed")
		for _, m := range marks {
			after, over := planner.AnsweredAttribute(m, r.to == setting, w.Settle, time.Now())
			r.note(after, over)
		}
		return nil
	case gone || aboutOne || is == refused: // the next try would be refused as well
		log.WithError(err).WithField("change", string(r.to)).Warn("readiness attributes refused")
		w.Engine.term.putAside(marks, time.Now().Add(asideFor))
		for _, m := range marks {
			if gone || !r.partly {
				r.note(m, gone || r.fresh[m.Key()])
			}
		}
		return nil
	case is != unknown && !r.partly:
		for _, m := range marks {
			r.note(m, r.fresh[m.Key()])
		}
	}
	return fmt.Errorf("readiness attributes not %s: %w", r.to, err)
}

// note has a mark recorded, or its record dropped.
func (r *result) note(m environment.ReadinessAttribute, over bool) {
	if over {
		r.drop = append(r.drop, m)
		return
	}
	r.put = append(r.put, m)
}

// ask calls ECS.
func (w *attestation) ask(ctx context.Context, to change, marks []environment.ReadinessAttribute) error {
	attributes := make([]types.Attribute, 0, len(marks))
	for _, m := range marks {
		a := types.Attribute{Name: &m.Name, TargetId: &m.Instance, TargetType: types.TargetTypeContainerInstance}
		if to == setting {
			a.Value = aws.String(readyValue)
		}
		attributes = append(attributes, a)
	}
	var err error
	if to == setting {
		_, err = w.ECS.PutAttributes(ctx, &ecs.PutAttributesInput{Cluster: &w.cluster, Attributes: attributes}, awsconfig.NoRetry)
	} else {
		_, err = w.ECS.DeleteAttributes(ctx, &ecs.DeleteAttributesInput{Cluster: &w.cluster, Attributes: attributes}, awsconfig.NoRetry)
	}
	return err
}

// inWords are those of attributes and instances, for the log.
func inWords(marks []environment.ReadinessAttribute) (list []string) {
	for _, m := range marks {
		list = append(list, m.Name+" on "+m.Instance)
	}
	return list
}
