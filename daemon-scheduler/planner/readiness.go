package planner

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// ReadinessState is everything that the readiness attributes on the instances of one cluster depend on.
type ReadinessState struct {
	Cluster      string // ARN
	Environments []environment.Environment
	Attributes   []environment.ReadinessAttribute // the records

	// Fresh reports that Instances and Tasks are complete and recent. Otherwise nothing is set or removed.
	Fresh     bool
	Instances []environment.Instance
	Tasks     []environment.Task // those of Environments at least

	SuppressedUntil map[environment.AttributeKey]time.Time // when ECS may be called again after it refused
	Now             time.Time
	ConfirmTimeout  time.Duration // how long after an attribute's NotAfter an unanswered call may still take effect
}

// ReadinessPlan lists the readiness attributes to change, each as its record is, or would be.
type ReadinessPlan struct {
	Set       []environment.ReadinessAttribute
	Remove    []environment.ReadinessAttribute
	Forget    []environment.ReadinessAttribute // their instances have left
	RequeueAt time.Time                        // when the plan may change although the state has not; zero if it cannot
}

// PlanReadiness decides which readiness attributes to set and to remove. An instance has an attribute while at least
// one environment names it and includes the instance, and the tasks of all these environments run there. Blox removes
// attributes wherever it has set them, and sets them on ACTIVE instances with a connected agent only.
func PlanReadiness(s ReadinessState) ReadinessPlan {
	b := readinessBuilder{
		ReadinessState: s,
		attributes:     map[environment.AttributeKey]environment.ReadinessAttribute{},
		daemons:        map[string][]daemon{},
	}
	for _, a := range s.Attributes {
		b.attributes[a.Key()] = a
		b.daemons[a.Name] = nil
	}
	b.indexDaemons()
	switch {
	case len(b.daemons) == 0:
	case !s.Fresh:
		b.requeueAt(s.Now.Add(staleRecheck))
	default:
		b.planInstances()
	}
	return b.plan
}

// readinessBuilder is a ReadinessPlan under construction.
type readinessBuilder struct {
	ReadinessState
	plan       ReadinessPlan
	attributes map[environment.AttributeKey]environment.ReadinessAttribute
	daemons    map[string][]daemon // by attribute
}

// daemon is an environment that names an attribute.
type daemon struct {
	selector  environment.Selector // all instances if the query cannot be parsed, because a later version wrote it
	running   map[string]bool      // by instance ARN
	startedOn map[string]bool      // the only instances included while the first deployment is a canary; otherwise nil
}

// indexDaemons finds the environments that name each attribute, and where their tasks run.
func (b *readinessBuilder) indexDaemons() {
	byDeployment := map[string]daemon{}
	for _, e := range b.Environments {
		spec := e.CurrentSpec()
		if _, deployed := e.Current(); !deployed || spec.ReadinessAttribute == "" || e.IsDeleting() {
			continue // an environment without a deployment does not count yet
		}
		selector, _ := spec.Selector()
		d := daemon{selector: selector, running: map[string]bool{}}
		if awaitingFirstPromotion(e) {
			d.startedOn = map[string]bool{}
		}
		b.daemons[spec.ReadinessAttribute] = append(b.daemons[spec.ReadinessAttribute], d)
		for id := range e.Deployments {
			byDeployment[id] = d
		}
	}
	for _, t := range b.Tasks {
		d, ours := byDeployment[t.StartedBy]
		if ours && d.startedOn != nil {
			d.startedOn[t.Instance] = true
		}
		if ours && t.Running() {
			d.running[t.Instance] = true
		}
	}
}

// awaitingFirstPromotion reports whether the environment's first deployment is a canary waiting for promotion.
// Instances outside the canary have never had a task.
func awaitingFirstPromotion(e environment.Environment) bool {
	d, inProgress := e.InProgress()
	_, completed := e.NewestCompleted()
	return inProgress && e.HasCanary(d) && !d.Promoted && !completed
}

// planInstances decides for each instance and attribute, in the order of their names.
func (b *readinessBuilder) planInstances() {
	names := slices.Sorted(maps.Keys(b.daemons))
	present := map[string]bool{}
	for _, instance := range slices.SortedFunc(slices.Values(b.Instances), byInstanceARN) {
		if instance.Deregistered() {
			continue
		}
		present[instance.ARN] = true
		for _, name := range names {
			b.planAttribute(instance, name)
		}
	}
	for _, a := range slices.SortedFunc(maps.Values(b.attributes), byAttributeKey) {
		if !present[a.Instance] {
			b.plan.Forget = append(b.plan.Forget, a)
		}
	}
}

func byAttributeKey(a, b environment.ReadinessAttribute) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Instance, b.Instance))
}

// planAttribute decides whether to set or to remove one attribute of one instance.
func (b *readinessBuilder) planAttribute(i environment.Instance, name string) {
	key := environment.AttributeKey{Name: name, Instance: i.ARN}
	attribute, recorded := b.attributes[key]
	if !recorded {
		attribute = environment.ReadinessAttribute{Name: name, Instance: i.ARN, Cluster: b.Cluster}
	}
	uncertain := mayStillApply(attribute, b.ConfirmTimeout, b.Now)
	suppressedUntil := b.SuppressedUntil[key]
	state := attribute.State
	if !b.allRunning(i, name) {
		switch {
		case !recorded:
		case b.Now.Before(suppressedUntil):
			b.requeueAt(suppressedUntil)
		case state == environment.AttributeRemoved && uncertain: // a call may set it again: remove it once more then
			b.requeueAt(attribute.NotAfter.Add(b.ConfirmTimeout))
		default:
			b.plan.Remove = append(b.plan.Remove, attribute)
		}
		return
	}
	switch {
	case state == environment.AttributeSet && attribute.NotAfter.IsZero():
	case state == environment.AttributeSet && uncertain: // a call may remove it: set it once more then
		b.requeueAt(attribute.NotAfter.Add(b.ConfirmTimeout))
	case i.Status != statusActive || !i.AgentConnected:
	case b.Now.Before(suppressedUntil):
		b.requeueAt(suppressedUntil)
	default:
		b.plan.Set = append(b.plan.Set, attribute)
	}
}

// allRunning reports whether at least one daemon includes the instance, and all that do run there.
func (b *readinessBuilder) allRunning(i environment.Instance, attribute string) bool {
	found := false
	for _, d := range b.daemons[attribute] {
		if !d.selector.Matches(i) || d.startedOn != nil && !d.startedOn[i.ARN] {
			continue
		}
		if !d.running[i.ARN] {
			return false
		}
		found = true
	}
	return found
}

func (b *readinessBuilder) requeueAt(t time.Time) {
	if b.plan.RequeueAt.IsZero() || t.Before(b.plan.RequeueAt) {
		b.plan.RequeueAt = t
	}
}

// mayStillApply reports whether an unanswered call about the attribute may still take effect.
func mayStillApply(a environment.ReadinessAttribute, confirmTimeout time.Duration, now time.Time) bool {
	return !a.NotAfter.IsZero() && now.Before(a.NotAfter.Add(confirmTimeout))
}

// AnnouncedAttribute returns the attribute as it is recorded before a call about it.
func AnnouncedAttribute(a environment.ReadinessAttribute, now time.Time) environment.ReadinessAttribute {
	a.State = environment.AttributeOpen
	a.NotAfter = now.Add(environment.AttributeWindow).UTC().Round(0)
	return a
}

// AnsweredAttribute returns the attribute to record after it was set or removed; before is its record before the
// call. While an earlier call may undo the change, NotAfter stays, so that the change is made once more. Forget
// reports that the record is to be deleted.
func AnsweredAttribute(
	before environment.ReadinessAttribute, set bool, confirmTimeout time.Duration, now time.Time,
) (after environment.ReadinessAttribute, forget bool) {
	after = before
	if !mayStillApply(before, confirmTimeout, now) {
		after.NotAfter = time.Time{}
	}
	if set {
		after.State = environment.AttributeSet
		return after, false
	}
	after.State = environment.AttributeRemoved
	return after, after.NotAfter.IsZero()
}
