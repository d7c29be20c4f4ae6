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
	a := attesting{ReadinessState: s, marks: map[environment.AttributeKey]environment.ReadinessAttribute{}, naming: map[string][]daemon{}}
	for _, m := range s.Attributes {
		a.marks[m.Key()] = m
		a.naming[m.Name] = nil
	}
	a.read()
	switch {
	case len(a.naming) == 0:
	case !s.Fresh:
		a.until(s.Now.Add(stale))
	default:
		a.instances()
	}
	return a.out
}

// attesting are decisions in the making.
type attesting struct {
	ReadinessState
	out    ReadinessPlan
	marks  map[environment.AttributeKey]environment.ReadinessAttribute
	naming map[string][]daemon // by attribute
}

// daemon is an environment that names an attribute.
type daemon struct {
	group   environment.Selector // of a query that a later version has written, all instances
	running map[string]bool      // by instance ARN
	only    map[string]bool      // the instances that it has begun on, where it is for no others yet; else nil
}

// read finds out which environments name which attribute, and where their tasks run.
func (a *attesting) read() {
	by := map[string]daemon{} // deployment id
	for _, e := range a.Environments {
		spec := e.CurrentSpec()
		if _, deployed := e.Current(); !deployed || spec.ReadinessAttribute == "" || e.IsDeleting() {
			continue // what is only created is nobody's business yet
		}
		group, _ := spec.Selector()
		d := daemon{group: group, running: map[string]bool{}}
		if firstCanary(e) {
			d.only = map[string]bool{}
		}
		a.naming[spec.ReadinessAttribute] = append(a.naming[spec.ReadinessAttribute], d)
		for id := range e.Deployments {
			by[id] = d
		}
	}
	for _, t := range a.Tasks {
		d, ours := by[t.StartedBy]
		if ours && d.only != nil {
			d.only[t.Instance] = true
		}
		if ours && t.Running() {
			d.running[t.Instance] = true
		}
	}
}

// firstCanary tells whether the environment's first deployment waits for its promotion: all but its canary's instances have
// never had a task.
func firstCanary(e environment.Environment) bool {
	d, inProgress := e.InProgress()
	_, completed := e.NewestCompleted()
	return inProgress && e.HasCanary(d) && !d.Promoted && !completed
}

// instances decides for each instance and attribute, in the order of their names.
func (a *attesting) instances() {
	attributes, here := slices.Sorted(maps.Keys(a.naming)), map[string]bool{}
	for _, instance := range slices.SortedFunc(slices.Values(a.Instances), byARN) {
		if instance.Deregistered() {
			continue
		}
		here[instance.ARN] = true
		for _, attribute := range attributes {
			a.one(instance, attribute)
		}
	}
	for _, m := range slices.SortedFunc(maps.Values(a.marks), byKey) {
		if !here[m.Instance] {
			a.out.Forget = append(a.out.Forget, m)
		}
	}
}

func byKey(a, b environment.ReadinessAttribute) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Instance, b.Instance))
}

func (a *attesting) one(i environment.Instance, attribute string) {
	key := environment.AttributeKey{Name: attribute, Instance: i.ARN}
	mark, marked := a.marks[key]
	if !marked {
		mark = environment.ReadinessAttribute{Name: attribute, Instance: i.ARN, Cluster: a.Cluster}
	}
	settled := !doubtful(mark, a.ConfirmTimeout, a.Now)
	aside := a.SuppressedUntil[key]
	switch is := mark.State; {
	case !a.ready(i, attribute):
		switch {
		case !marked:
		case a.Now.Before(aside):
			a.until(aside)
		case is == environment.AttributeRemoved && !settled:
			a.until(mark.NotAfter.Add(a.ConfirmTimeout))
		default:
			a.out.Remove = append(a.out.Remove, mark)
		}
	case is == environment.AttributeSet && mark.NotAfter.IsZero():
	case is == environment.AttributeSet && !settled:
		a.until(mark.NotAfter.Add(a.ConfirmTimeout))
	case i.Status != "ACTIVE" || !i.AgentConnected:
	case a.Now.Before(aside):
		a.until(aside)
	default:
		a.out.Set = append(a.out.Set, mark)
	}
}

// ready tells whether all daemons run on the instance that are for it, and there is one.
func (a *attesting) ready(i environment.Instance, attribute string) (some bool) {
	for _, d := range a.naming[attribute] {
		if !d.group.Matches(i) || d.only != nil && !d.only[i.ARN] {
			continue
		}
		if !d.running[i.ARN] {
			return false
		}
		some = true
	}
	return some
}

func (a *attesting) until(t time.Time) {
	if a.out.RequeueAt.IsZero() || t.Before(a.out.RequeueAt) {
		a.out.RequeueAt = t
	}
}

// doubtful tells whether a call about the mark that was never answered may still take effect.
func doubtful(m environment.ReadinessAttribute, settle time.Duration, now time.Time) bool {
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
	if !doubtful(before, settle, now) {
		after.NotAfter = time.Time{}
	}
	if set {
		after.State = environment.AttributeSet
		return after, false
	}
	after.State = environment.AttributeRemoved
	return after, after.NotAfter.IsZero()
}
