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
	Launches     map[string]map[string]environment.Launch // their launch records, by environment and instance ARN
	Attributes   []environment.ReadinessAttribute         // the records
	Listings     map[string]AttributeListing              // the attributes as ECS has them, by name; may be incomplete

	// Fresh reports that Instances and Tasks are complete and recent. Otherwise nothing is set or removed.
	Fresh     bool
	Instances []environment.Instance
	Tasks     []environment.Task // those of Environments at least

	SuppressedUntil map[environment.AttributeKey]time.Time // when ECS may be called again after it refused
	Now             time.Time
	ConfirmTimeout  time.Duration // how long after an attribute's NotAfter an unanswered call may still take effect
}

// AttributeListing is one attribute of a cluster's instances as ECS listed it.
type AttributeListing struct {
	Values map[string]string // by instance ARN
	// Recorded has the StoredVersion of each of the attribute's records before ECS listed it, by instance ARN. The
	// listing shows nothing about a record that has changed since.
	Recorded map[string]int64
}

// contradicts reports whether ECS had not set the attribute although its record, a, says so.
func (l AttributeListing) contradicts(a environment.ReadinessAttribute) bool {
	recorded, ok := l.Recorded[a.Instance]
	return ok && recorded == a.StoredVersion && l.Values[a.Instance] != environment.ReadyValue
}

// ReadinessPlan lists the readiness attributes to change, each as its record is, or would be.
type ReadinessPlan struct {
	Set       []environment.ReadinessAttribute
	Remove    []environment.ReadinessAttribute
	Forget    []environment.ReadinessAttribute // their instances have left
	RequeueAt time.Time                        // when the plan may change although the state has not; zero if it cannot
}

// PlanReadiness decides which readiness attributes to set and to remove. An instance has an attribute while at least
// one environment includes the instance and names the attribute there, and the tasks of all these environments are
// available on it. A RUNNING task whose health is unknown changes nothing: it sets no attribute, and removes none. Each
// environment is judged by its target on the instance, so that a canary renames the attribute on its own instances
// only. Blox removes attributes wherever it has set them, and sets them on ACTIVE instances with a connected agent
// only. It sets an attribute again that another program has removed or changed.
func PlanReadiness(s ReadinessState) (plan ReadinessPlan) {
	present := presentInstances(s.Instances)
	daemons := newDaemons(s, present)
	records := map[environment.AttributeKey]environment.ReadinessAttribute{}
	for _, a := range s.Attributes {
		records[a.Key()] = a
	}
	marks := markTakeovers(s, present)
	switch names := attributeNames(s, daemons, marks); {
	case len(names) == 0:
		return plan
	case !s.Fresh:
		plan.RequeueAt = s.Now.Add(staleRecheck)
		return plan
	default:
		for n, i := range present {
			states := statesFor(daemons, n, i)
			for _, name := range names {
				a := recordOf(s, records, name, i.ARN)
				ready := states[name] == daemonAvailable || states[name] == daemonUnknown && a.State == environment.AttributeSet
				plan = plan.with(decideAttribute(s, i, ready || marks[name][i.ARN], a))
				delete(records, environment.AttributeKey{Name: name, Instance: i.ARN})
			}
		}
	}
	plan.Forget = slices.SortedFunc(maps.Values(records), byAttributeKey)
	return plan
}

// daemon is an environment that sets a readiness attribute, or may do so.
type daemon struct {
	assigned []*target              // by the index of the instance; nil where the environment does not count
	states   map[string]daemonState // by instance ARN
}

// daemonState is the state of the daemons that set one attribute on an instance. Of several, the lowest counts.
type daemonState int

const (
	daemonMissing   daemonState = iota // no RUNNING task, or an UNHEALTHY one
	daemonUnknown                      // RUNNING, with health checks whose result is unknown
	daemonAvailable                    // RUNNING and, with health checks, HEALTHY
)

func daemonStateOf(t environment.Task) daemonState {
	switch {
	case t.Available():
		return daemonAvailable
	case t.Running() && !t.Unhealthy():
		return daemonUnknown
	}
	return daemonMissing
}

// newDaemons returns the environments that name an attribute. One without a deployment does not count yet.
func newDaemons(s ReadinessState, present []environment.Instance) []daemon {
	var daemons []daemon
	byDeployment := map[string]int{} // deployment id to the index of its environment
	live := map[string]map[string]bool{}
	var counted []environment.Environment
	for _, e := range s.Environments {
		if _, deployed := e.Current(); !deployed || e.IsDeleting() {
			continue
		}
		for id := range e.Deployments {
			byDeployment[id] = len(counted)
		}
		counted = append(counted, e)
		daemons = append(daemons, daemon{states: map[string]daemonState{}})
	}
	for _, t := range s.Tasks {
		n, ours := byDeployment[t.StartedBy]
		if ours {
			daemons[n].states[t.Instance] = max(daemons[n].states[t.Instance], daemonStateOf(t))
		}
		if ours && t.Live() {
			if live[t.StartedBy] == nil {
				live[t.StartedBy] = map[string]bool{}
			}
			live[t.StartedBy][t.Instance] = true
		}
	}
	for n, e := range counted {
		t := newTargets(e)
		begun := func(arn string) bool {
			launch, launched := s.Launches[e.Name][arn]
			return launched && launch.Deployment == t.current.ID || live[t.current.ID][arn]
		}
		daemons[n].assigned = t.assignReadiness(present, begun)
	}
	return daemons
}

// assignReadiness returns the target of each instance that names a readiness attribute there; nil for the others.
// While the first deployment is a canary, an instance counts only once the deployment has begun on it: those outside
// the canary have never had a task.
func (t targets) assignReadiness(present []environment.Instance, begun func(arn string) bool) []*target {
	assigned := t.assign(present, begun)
	for n, i := range present {
		switch one := assigned[n]; {
		case one == nil:
		case one.spec.ReadinessAttribute == "",
			!one.selector.Matches(i),
			t.canaryPending && t.previous == nil && !begun(i.ARN):
			assigned[n] = nil
		}
	}
	return assigned
}

// attributeNames returns the attributes that are recorded or named, in order.
func attributeNames(s ReadinessState, daemons []daemon, marks map[string]map[string]bool) []string {
	names := map[string]bool{}
	for name := range marks {
		names[name] = true
	}
	for _, a := range s.Attributes {
		names[a.Name] = true
	}
	for _, d := range daemons {
		for _, t := range d.assigned {
			if t != nil {
				names[t.spec.ReadinessAttribute] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// statesFor returns the attributes that daemons name on the n-th instance, and the state of these daemons there.
func statesFor(daemons []daemon, n int, i environment.Instance) map[string]daemonState {
	states := map[string]daemonState{}
	for _, d := range daemons {
		if t := d.assigned[n]; t != nil {
			name := t.spec.ReadinessAttribute
			if others, named := states[name]; named {
				states[name] = min(others, d.states[i.ARN])
			} else {
				states[name] = d.states[i.ARN]
			}
		}
	}
	return states
}

// recordOf returns the attribute's record, or one without a state if there is none.
func recordOf(
	s ReadinessState, records map[environment.AttributeKey]environment.ReadinessAttribute, name, instance string,
) environment.ReadinessAttribute {
	if a, recorded := records[environment.AttributeKey{Name: name, Instance: instance}]; recorded {
		return a
	}
	return environment.ReadinessAttribute{Name: name, Instance: instance, Cluster: s.Cluster}
}

func byAttributeKey(a, b environment.ReadinessAttribute) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Instance, b.Instance))
}

// decideAttribute decides whether to set or to remove one attribute of one instance.
func decideAttribute(
	s ReadinessState, i environment.Instance, ready bool, a environment.ReadinessAttribute,
) ReadinessPlan {
	uncertainUntil := a.NotAfter.Add(s.ConfirmTimeout)
	uncertain := mayStillApply(a, s.ConfirmTimeout, s.Now)
	suppressedUntil := s.SuppressedUntil[a.Key()]
	suppressed := s.Now.Before(suppressedUntil)
	switch {
	case !ready && a.State == "":
	case !ready && suppressed:
		return ReadinessPlan{RequeueAt: suppressedUntil}
	case !ready && a.State == environment.AttributeRemoved && uncertain: // a call may set it again: remove it once more
		return ReadinessPlan{RequeueAt: uncertainUntil}
	case !ready:
		return ReadinessPlan{Remove: []environment.ReadinessAttribute{a}}
	case a.State == environment.AttributeSet && a.NotAfter.IsZero() && !s.Listings[a.Name].contradicts(a):
	case a.State == environment.AttributeSet && uncertain: // a call may remove it: set it once more then
		return ReadinessPlan{RequeueAt: uncertainUntil}
	case !i.CanRunTasks():
	case suppressed:
		return ReadinessPlan{RequeueAt: suppressedUntil}
	default:
		return ReadinessPlan{Set: []environment.ReadinessAttribute{a}}
	}
	return ReadinessPlan{}
}

// with returns the plan with the decision about one attribute.
func (p ReadinessPlan) with(one ReadinessPlan) ReadinessPlan {
	p.Set = append(p.Set, one.Set...)
	p.Remove = append(p.Remove, one.Remove...)
	p.RequeueAt = Earliest(p.RequeueAt, one.RequeueAt)
	return p
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
