package environment

import (
	"fmt"
	"time"
)

// CanaryStep is one step of a canary: the instances that the deployment covers then, in addition to those of earlier
// steps. Exactly one of Percent, Count and Query is set.
type CanaryStep struct {
	Percent int    `json:",omitempty"` // of the instances; at least one instance
	Count   int    `json:",omitempty"` // of instances
	Query   string `json:",omitempty"`
	// PauseMinutes is how long all tasks of the step have to be ready until the scheduler promotes it; nil: a user does.
	PauseMinutes *int `json:",omitempty"`
}

// Size is the number of instances, of desired ones, that a step with a Percent or a Count covers.
func (s CanaryStep) Size(desired int) int {
	if s.Count > 0 {
		return min(desired, s.Count)
	}
	return min(desired, max(1, desired*s.Percent/100))
}

// Pause returns how long all tasks of the step have to be ready until the scheduler promotes it. It reports false if
// only a user does.
func (s CanaryStep) Pause() (pause time.Duration, automatic bool) {
	if s.PauseMinutes == nil {
		return 0, false
	}
	return time.Duration(*s.PauseMinutes) * time.Minute, true
}

// String returns the instances of the step, for people.
func (s CanaryStep) String() string {
	switch {
	case s.Query != "":
		return s.Query
	case s.Count == 1:
		return "1 instance"
	case s.Count > 1:
		return fmt.Sprintf("%d instances", s.Count)
	}
	return fmt.Sprintf("%d%% of the instances", s.Percent)
}

// AllSteps returns the steps of the canary. One without steps is a single step that a user promotes.
func (c Canary) AllSteps() []CanaryStep {
	if len(c.Steps) > 0 {
		return c.Steps
	}
	return []CanaryStep{{Percent: c.Percent, Query: c.Query}}
}

// CanaryProgress is how far the canary of a deployment is.
type CanaryProgress struct {
	PromotedSteps int `json:",omitempty"`
	// ReadyFor is for how long leaders have seen all tasks of the present step ready, by their own clocks. A new leader
	// continues from it: the time since the last record does not count.
	ReadyFor time.Duration `json:",omitempty"`
	// PromotesAt is when the scheduler promotes the step if its tasks stay ready; zero unless it will. It is for people:
	// no decision depends on it.
	PromotesAt time.Time `json:",omitzero"`
}

// StepProgress is the progress of the present step of the current deployment's canary.
type StepProgress struct {
	Number     int           // from 1; 0 unless the scheduler is to promote the step
	Ready      bool          // all its tasks are ready, and nothing stands in the way of the promotion
	ReadyFor   time.Duration // for how long they have been
	PromotesAt time.Time     // when that is long enough; zero unless Ready
	Promote    bool          // it is now
}

// stepRecordInterval is how much ReadyFor grows between two records of it, and so the most by which a new leader
// prolongs a step.
const stepRecordInterval = time.Minute

// CanaryStep returns the present step of the deployment's canary, its number from 1, and the number of steps. It
// reports false if the deployment does not wait for a promotion.
func (e Environment) CanaryStep(d Deployment) (step CanaryStep, number, count int, waits bool) {
	if d.Status == Completed || d.Promoted || !e.HasCanary(d) {
		return CanaryStep{}, 0, 0, false
	}
	steps := e.RevisionFor(d).Spec.DeploymentConfiguration.Canary.AllSteps()
	number = min(d.CanaryProgress.PromotedSteps+1, len(steps))
	return steps[number-1], number, len(steps), true
}

// CanaryStepText returns "Step 1 of 3 (10% of the instances)" for the present step; empty unless the canary has steps.
func (e Environment) CanaryStepText(d Deployment) string {
	step, number, count, waits := e.CanaryStep(d)
	if !waits || count == 1 && step.PauseMinutes == nil {
		return ""
	}
	return fmt.Sprintf("Step %d of %d (%s)", number, count, step)
}

// PromotionText returns "step 1 of 3" for the step of the deployment's canary that was promoted last; empty unless the
// canary has several.
func (e Environment) PromotionText(d Deployment) string {
	if !e.HasCanary(d) {
		return ""
	}
	count := len(e.RevisionFor(d).Spec.DeploymentConfiguration.Canary.AllSteps())
	if count == 1 {
		return ""
	}
	return fmt.Sprintf("step %d of %d", min(d.CanaryProgress.PromotedSteps, count), count)
}

// promoteStep continues the deployment d after the present step of its canary: with the next step, or with all
// instances.
func (e Environment) promoteStep(d Deployment) Deployment {
	_, number, count, _ := e.CanaryStep(d)
	d.CanaryProgress = CanaryProgress{PromotedSteps: number}
	d.Promoted = number >= count
	return d
}

// recordStep returns d with the progress of the present step, and whether anything is worth a record.
func (e Environment) recordStep(d Deployment, p StepProgress) (next Deployment, changed bool) {
	_, number, _, waits := e.CanaryStep(d)
	before := d.CanaryProgress
	grown := p.ReadyFor - before.ReadyFor
	moved := p.PromotesAt.Sub(before.PromotesAt).Abs() > time.Second // also if only one of them is zero
	switch {
	case !waits || p.Number != number:
		return d, false
	case p.Promote:
		return e.promoteStep(d), true
	case grown < 0, grown >= stepRecordInterval, moved:
		d.CanaryProgress.ReadyFor = p.ReadyFor
		d.CanaryProgress.PromotesAt = p.PromotesAt.UTC()
		return d, true
	}
	return d, false
}
