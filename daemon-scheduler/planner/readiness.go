package planner

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Readiness is everything that the readiness attributes on the instances of one cluster depend on.
type Readiness struct {
	Cluster      string // ARN
	Environments []environment.Environment
	Marks        []environment.Mark

	// The copy of the cluster. While it is not Fresh nothing is set or removed.
	Fresh     bool
	Instances []environment.Instance
	Tasks     []environment.Task // those of Environments at least

	Aside  map[environment.MarkKey]time.Time // until when ECS is not asked again to set what it refused
	Now    time.Time
	Settle time.Duration // after a mark's NotAfter, until a call that was never answered has no effect any more
}

// Attributes is what to do about readiness attributes, each as the mark that there is, or would be.
type Attributes struct {
	Set    []environment.Mark
	Remove []environment.Mark
	Forget []environment.Mark // their instances have left
	Until  time.Time          // when that may change with nothing else changing; zero when it does not
}

// Attest decides which instances are to have which readiness attributes: an attribute is there while the tasks of all
// environments that name it, and are for the instance, run there, and there is one. It is removed wherever Blox has set
// it, and set only on ACTIVE instances with a connected agent.
func Attest(s Readiness) Attributes {
	a := attesting{Readiness: s, marks: map[environment.MarkKey]environment.Mark{}, naming: map[string][]daemon{}}
	for _, m := range s.Marks {
		a.marks[m.Key()] = m
		a.naming[m.Attribute] = nil
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
	Readiness
	out    Attributes
	marks  map[environment.MarkKey]environment.Mark
	naming map[string][]daemon // by attribute
}

// daemon is an environment that names an attribute.
type daemon struct {
	group   environment.Group // of a query that a later version has written, all instances
	running map[string]bool   // by instance ARN
	only    map[string]bool   // the instances that it has begun on, where it is for no others yet; else nil
}

// read finds out which environments name which attribute, and where their tasks run.
func (a *attesting) read() {
	by := map[string]daemon{} // deployment id
	for _, e := range a.Environments {
		spec := e.InEffect()
		if _, deployed := e.Current(); !deployed || spec.ReadinessAttribute == "" || e.IsDeleting() {
			continue // what is only created is nobody's business yet
		}
		group, _ := spec.Group()
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
		if instance.Gone() {
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

func byKey(a, b environment.Mark) int {
	return cmp.Or(cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Instance, b.Instance))
}

func (a *attesting) one(i environment.Instance, attribute string) {
	key := environment.MarkKey{Attribute: attribute, Instance: i.ARN}
	mark, marked := a.marks[key]
	if !marked {
		mark = environment.Mark{Attribute: attribute, Instance: i.ARN, Cluster: a.Cluster}
	}
	settled := !doubtful(mark, a.Settle, a.Now)
	aside := a.Aside[key]
	switch is := mark.State; {
	case !a.ready(i, attribute):
		switch {
		case !marked:
		case a.Now.Before(aside):
			a.until(aside)
		case is == environment.MarkRemoved && !settled:
			a.until(mark.NotAfter.Add(a.Settle))
		default:
			a.out.Remove = append(a.out.Remove, mark)
		}
	case is == environment.MarkSet && mark.NotAfter.IsZero():
	case is == environment.MarkSet && !settled:
		a.until(mark.NotAfter.Add(a.Settle))
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
		if !d.group.Has(i) || d.only != nil && !d.only[i.ARN] {
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
	if a.out.Until.IsZero() || t.Before(a.out.Until) {
		a.out.Until = t
	}
}

// doubtful tells whether a call about the mark that was never answered may still take effect.
func doubtful(m environment.Mark, settle time.Duration, now time.Time) bool {
	return !m.NotAfter.IsZero() && now.Before(m.NotAfter.Add(settle))
}

// Announced is the mark as it is recorded before a call about it.
func Announced(m environment.Mark, now time.Time) environment.Mark {
	m.State, m.NotAfter = environment.MarkOpen, now.Add(environment.MarkWindow).UTC().Round(0)
	return m
}

// Answered is what to record of a mark that was set or removed, before which it was as it is given; gone tells that its
// record goes. While an earlier call may undo that, it is done once more later.
func Answered(before environment.Mark, set bool, settle time.Duration, now time.Time) (after environment.Mark, gone bool) {
	after = before
	if !doubtful(before, settle, now) {
		after.NotAfter = time.Time{}
	}
	if set {
		after.State = environment.MarkSet
		return after, false
	}
	after.State = environment.MarkRemoved
	return after, after.NotAfter.IsZero()
}
