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
	Attributes   []environment.ReadinessAttribute

	// The copy of the cluster. While it is not Fresh nothing is set or removed.
	Fresh     bool
	Instances []environment.Instance
	Tasks     []environment.Task // those of Environments at least

	SuppressedUntil map[environment.AttributeKey]time.Time // until when ECS is not asked again to set what it refused
	Now             time.Time
	ConfirmTimeout  time.Duration // after a mark's NotAfter, until a call that was never answered has no effect any more
}

// ReadinessPlan is what to do about readiness attributes, each as the mark that there is, or would be.
type ReadinessPlan struct {
	Set       []environment.ReadinessAttribute
	Remove    []environment.ReadinessAttribute
	Forget    []environment.ReadinessAttribute // their instances have left
	RequeueAt time.Time                        // when that may change with nothing else changing; zero when it does not
}

// PlanReadiness decides which instances are to have which readiness attributes: an attribute is there while the tasks of all
// environments that name it, and are for the instance, run there, and there is one. It is removed wherever Blox has set
// it, and set only on ACTIVE instances with a connected agent.
func PlanReadiness(s ReadinessState) ReadinessPlan {
	a := readinessBuilder{ReadinessState: s, attributes: map[environment.AttributeKey]environment.ReadinessAttribute{}, daemons: map[string][]daemon{}}
	for _, m := range s.Attributes {
		a.attributes[m.Key()] = m
		a.daemons[m.Name] = nil
	}
	a.indexDaemons()
	switch {
	case len(a.daemons) == 0:
	case !s.Fresh:
		a.requeueAt(s.Now.Add(staleRecheck))
	default:
		a.planInstances()
	}
	return a.plan
}

// readinessBuilder are decisions in the making.
type readinessBuilder struct {
	ReadinessState
	plan       ReadinessPlan
	attributes map[environment.AttributeKey]environment.ReadinessAttribute
	daemons    map[string][]daemon // by attribute
}

// daemon is an environment that names an attribute.
type daemon struct {
	selector  environment.Selector // of a query that a later version has written, all instances
	running   map[string]bool      // by instance ARN
	startedOn map[string]bool      // the instances that it has begun on, where it is for no others yet; else nil
}

// indexDaemons finds out which environments name which attribute, and where their tasks run.
func (a *readinessBuilder) indexDaemons() {
	by := map[string]daemon{} // deployment id
	for _, e := range a.Environments {
		spec := e.CurrentSpec()
		if _, deployed := e.Current(); !deployed || spec.ReadinessAttribute == "" || e.IsDeleting() {
			continue // what is only created is nobody's business yet
		}
		group, _ := spec.Selector()
		d := daemon{selector: group, running: map[string]bool{}}
		if awaitingFirstPromotion(e) {
			d.startedOn = map[string]bool{}
		}
		a.daemons[spec.ReadinessAttribute] = append(a.daemons[spec.ReadinessAttribute], d)
		for id := range e.Deployments {
			by[id] = d
		}
	}
	for _, t := range a.Tasks {
		d, ours := by[t.StartedBy]
		if ours && d.startedOn != nil {
			d.startedOn[t.Instance] = true
		}
		if ours && t.Running() {
			d.running[t.Instance] = true
		}
	}
}

// awaitingFirstPromotion tells whether the environment's first deployment waits for its promotion: all but its canary's instances have
// never had a task.
func awaitingFirstPromotion(e environment.Environment) bool {
	d, inProgress := e.InProgress()
	_, completed := e.NewestCompleted()
	return inProgress && e.HasCanary(d) && !d.Promoted && !completed
}

// planInstances decides for each instance and attribute, in the order of their names.
func (a *readinessBuilder) planInstances() {
	attributes, here := slices.Sorted(maps.Keys(a.daemons)), map[string]bool{}
	for _, instance := range slices.SortedFunc(slices.Values(a.Instances), byInstanceARN) {
		if instance.Deregistered() {
			continue
		}
		here[instance.ARN] = true
		for _, attribute := range attributes {
			a.planAttribute(instance, attribute)
		}
	}
	for _, m := range slices.SortedFunc(maps.Values(a.attributes), byAttributeKey) {
		if !here[m.Instance] {
			a.plan.Forget = append(a.plan.Forget, m)
		}
	}
}

func byAttributeKey(a, b environment.ReadinessAttribute) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Instance, b.Instance))
}

func (a *readinessBuilder) planAttribute(i environment.Instance, attribute string) {
	key := environment.AttributeKey{Name: attribute, Instance: i.ARN}
	mark, marked := a.attributes[key]
	if !marked {
		mark = environment.ReadinessAttribute{Name: attribute, Instance: i.ARN, Cluster: a.Cluster}
	}
	settled := !mayStillApply(mark, a.ConfirmTimeout, a.Now)
	aside := a.SuppressedUntil[key]
	switch is := mark.State; {
	case !a.allRunning(i, attribute):
		switch {
		case !marked:
		case a.Now.Before(aside):
			a.requeueAt(aside)
		case is == environment.AttributeRemoved && !settled:
			a.requeueAt(mark.NotAfter.Add(a.ConfirmTimeout))
		default:
			a.plan.Remove = append(a.plan.Remove, mark)
		}
	case is == environment.AttributeSet && mark.NotAfter.IsZero():
	case is == environment.AttributeSet && !settled:
		a.requeueAt(mark.NotAfter.Add(a.ConfirmTimeout))
	case i.Status != "ACTIVE" || !i.AgentConnected:
	case a.Now.Before(aside):
		a.requeueAt(aside)
	default:
		a.plan.Set = append(a.plan.Set, mark)
	}
}

// allRunning tells whether all daemons run on the instance that are for it, and there is one.
func (a *readinessBuilder) allRunning(i environment.Instance, attribute string) (some bool) {
	for _, d := range a.daemons[attribute] {
		if !d.selector.Matches(i) || d.startedOn != nil && !d.startedOn[i.ARN] {
			continue
		}
		if !d.running[i.ARN] {
			return false
		}
		some = true
	}
	return some
}

func (a *readinessBuilder) requeueAt(t time.Time) {
	if a.plan.RequeueAt.IsZero() || t.Before(a.plan.RequeueAt) {
		a.plan.RequeueAt = t
	}
}

// mayStillApply tells whether a call about the mark that was never answered may still take effect.
func mayStillApply(m environment.ReadinessAttribute, settle time.Duration, now time.Time) bool {
	return !m.NotAfter.IsZero() && now.Before(m.NotAfter.Add(settle))
}

// AnnouncedAttribute is the mark as it is recorded before a call about it.
func AnnouncedAttribute(m environment.ReadinessAttribute, now time.Time) environment.ReadinessAttribute {
	m.State, m.NotAfter = environment.AttributeOpen, now.Add(environment.AttributeWindow).UTC().Round(0)
	return m
}

// AnsweredAttribute is what to record of a mark that was set or removed, before which it was as it is given; gone tells that its
// record goes. While an earlier call may undo that, it is done once more later.
func AnsweredAttribute(before environment.ReadinessAttribute, set bool, settle time.Duration, now time.Time) (after environment.ReadinessAttribute, gone bool) {
	after = before
	if !mayStillApply(before, settle, now) {
		after.NotAfter = time.Time{}
	}
	if set {
		after.State = environment.AttributeSet
		return after, false
	}
	after.State = environment.AttributeRemoved
	return after, after.NotAfter.IsZero()
}
