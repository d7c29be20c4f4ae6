package planner

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/query"
)

// naming is an environment with the deployment <name> of a revision that names the attribute.
func naming(name, attribute string, more ...func(*environment.Environment)) environment.Environment {
	e := environment.New(name, "arn:cluster/prod", agent2, "token")
	e.Revisions = []environment.Revision{{Number: 1, Spec: environment.Spec{TaskDefinition: agent2, ReadinessAttribute: attribute}}}
	e.Deployments[name] = environment.Deployment{ID: name, Status: environment.Completed, TaskDefinition: agent2, StartTime: now}
	for _, change := range more {
		change(&e)
	}
	return e
}

func deleting(e *environment.Environment) { e.DeletingSince = now }

func created(e *environment.Environment) { e.Deployments = nil }

func begun(e *environment.Environment) {
	d := e.Deployments[e.Name]
	d.Status = environment.Running
	e.Deployments[e.Name] = d
}

func canary(e *environment.Environment) {
	e.Revisions[0].Spec.DeploymentConfiguration.Canary = &environment.Canary{Percent: 1}
}

func querying(text string) func(*environment.Environment) {
	return func(e *environment.Environment) { e.Revisions[0].Spec.Query = text }
}

func mark(state environment.AttributeState, ago ...time.Duration) environment.ReadinessAttribute {
	m := environment.ReadinessAttribute{Name: "ready", Instance: "i1", Cluster: "arn:cluster/prod", State: state, StoredVersion: 7}
	for _, t := range ago {
		m.NotAfter = now.Add(-t)
	}
	return m
}

func TestAttest(t *testing.T) {
	logs, metrics := naming("logs", "ready"), naming("metrics", "ready")
	oneRuns := []environment.Task{task("t1", "logs", "RUNNING")}
	bothRun := append(slices.Clip(oneRuns), task("t2", "metrics", "RUNNING"))
	both := []environment.Environment{logs, metrics}
	away := []environment.Instance{{ARN: "i1", Status: "ACTIVE"}}
	const set, remove, forget = "set ready on i1", "remove ready on i1", "forget ready on i1"
	for name, tc := range map[string]struct {
		envs      []environment.Environment
		tasks     []environment.Task
		marks     []environment.ReadinessAttribute
		instances []environment.Instance // i1, ACTIVE and connected, when nil
		stale     bool
		aside     time.Duration
		want      []string
		until     time.Duration
	}{
		"what is only created is nobody's business": {
			envs: []environment.Environment{logs, naming("new", "ready", created)}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)},
		},
		"a first deployment is, once it begins": {
			envs: []environment.Environment{logs, naming("new", "ready", begun)}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)},
			want: []string{remove},
		},
		"but its canary only where it has begun": {
			envs: []environment.Environment{logs, naming("new", "ready", begun, canary)}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)},
		},
		"and there it has to run": {
			envs:  []environment.Environment{logs, naming("new", "ready", begun, canary)},
			tasks: append(slices.Clip(oneRuns), task("t3", "new", "PENDING")), marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)},
			want: []string{remove},
		},
		"nobody names one":                        {envs: []environment.Environment{naming("logs", "")}, tasks: oneRuns, stale: true},
		"no daemon runs":                          {envs: both},
		"one of two runs":                         {envs: both, tasks: oneRuns},
		"both run":                                {envs: both, tasks: bothRun, want: []string{set}},
		"both run, and it is set":                 {envs: both, tasks: bothRun, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}},
		"one stopped":                             {envs: both, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, want: []string{remove}},
		"one is stopping":                         {envs: both, tasks: append(slices.Clip(oneRuns), with(task("t2", "metrics", "RUNNING"), stopping)), marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, want: []string{remove}},
		"one is pending":                          {envs: both, tasks: append(slices.Clip(oneRuns), task("t2", "metrics", "PENDING")), marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, want: []string{remove}},
		"another's task is no daemon":             {envs: both, tasks: append(slices.Clip(oneRuns), task("t2", foreign, "RUNNING"))},
		"one of another attribute is not asked":   {envs: []environment.Environment{logs, naming("metrics", "warm")}, tasks: oneRuns, want: []string{set}},
		"one being deleted is not asked":          {envs: []environment.Environment{logs, naming("metrics", "ready", deleting)}, tasks: oneRuns, want: []string{set}},
		"the only one is being deleted":           {envs: []environment.Environment{naming("logs", "ready", deleting)}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, want: []string{remove}},
		"one for other instances is not asked":    {envs: []environment.Environment{logs, naming("metrics", "ready", querying("attribute:gpu exists"))}, tasks: oneRuns, want: []string{set}},
		"one for such instances is asked":         {envs: []environment.Environment{logs, naming("metrics", "ready", querying("attribute:gpu exists"))}, tasks: oneRuns, instances: []environment.Instance{{ARN: "i1", Status: "ACTIVE", AgentConnected: true, Attributes: query.Map{"gpu": ""}}}},
		"one with a query of the future is asked": {envs: []environment.Environment{logs, naming("metrics", "ready", querying("attribute:gpu beats 3"))}, tasks: oneRuns},
		"the only one is for others":              {envs: []environment.Environment{naming("logs", "ready", querying("attribute:gpu exists"))}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, want: []string{remove}},
		"a paused one is asked":                   {envs: []environment.Environment{naming("logs", "ready", func(e *environment.Environment) { e.Paused = true })}, tasks: oneRuns, want: []string{set}},
		"an older deployment's task will do": {envs: []environment.Environment{naming("logs", "ready", func(e *environment.Environment) {
			e.Deployments[earlier] = environment.Deployment{ID: earlier, Status: environment.Completed}
		})}, tasks: []environment.Task{task("t1", earlier, "RUNNING")}, want: []string{set}},
		"nobody names it any more":           {marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, want: []string{remove}},
		"another one is named now":           {envs: []environment.Environment{naming("logs", "warm")}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, want: []string{remove, "set warm on i1"}},
		"the copy is old":                    {envs: both, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, stale: true, until: staleRecheck},
		"draining keeps it":                  {envs: []environment.Environment{logs}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, instances: on("DRAINING", "i1")},
		"draining does not get it":           {envs: []environment.Environment{logs}, tasks: oneRuns, instances: on("DRAINING", "i1")},
		"draining loses it":                  {envs: []environment.Environment{logs}, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, instances: on("DRAINING", "i1"), want: []string{remove}},
		"disconnected keeps it":              {envs: []environment.Environment{logs}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, instances: away},
		"disconnected does not get it":       {envs: []environment.Environment{logs}, tasks: oneRuns, instances: away},
		"disconnected loses it":              {envs: []environment.Environment{logs}, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, instances: away, want: []string{remove}},
		"the instance left":                  {envs: []environment.Environment{logs}, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet)}, instances: on("INACTIVE", "i1"), want: []string{forget}},
		"the instance is gone":               {marks: []environment.ReadinessAttribute{mark(environment.AttributeOpen, 0)}, instances: on("ACTIVE", "i2"), want: []string{forget}},
		"announced and then nothing":         {envs: []environment.Environment{logs}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeOpen, -time.Second)}, want: []string{set}},
		"announced and not wanted":           {envs: []environment.Environment{logs}, marks: []environment.ReadinessAttribute{mark(environment.AttributeOpen, -time.Second)}, want: []string{remove}},
		"removed, and it may come back":      {envs: []environment.Environment{logs}, marks: []environment.ReadinessAttribute{mark(environment.AttributeRemoved, time.Second)}, until: settle - time.Second},
		"removed, and it may have":           {envs: []environment.Environment{logs}, marks: []environment.ReadinessAttribute{mark(environment.AttributeRemoved, settle)}, want: []string{remove}},
		"removed, and wanted again":          {envs: []environment.Environment{logs}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeRemoved, time.Second)}, want: []string{set}},
		"set, and it may go":                 {envs: []environment.Environment{logs}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet, time.Second)}, until: settle - time.Second},
		"set, and it may have gone":          {envs: []environment.Environment{logs}, tasks: oneRuns, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet, settle)}, want: []string{set}},
		"set, and not wanted in spite of it": {envs: []environment.Environment{logs}, marks: []environment.ReadinessAttribute{mark(environment.AttributeSet, time.Second)}, want: []string{remove}},
		"refused a moment ago":               {envs: []environment.Environment{logs}, tasks: oneRuns, aside: time.Minute, until: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := ReadinessState{
				Cluster: "arn:cluster/prod", Environments: tc.envs, Attributes: tc.marks, Fresh: !tc.stale, Instances: tc.instances, Tasks: tc.tasks,
				Now: now, ConfirmTimeout: settle,
			}
			if s.Instances == nil {
				s.Instances = []environment.Instance{active("i1")}
			}
			if tc.aside > 0 {
				s.SuppressedUntil = map[environment.AttributeKey]time.Time{{Name: "ready", Instance: "i1"}: now.Add(tc.aside)}
			}
			got := PlanReadiness(s)
			assert.Equal(t, tc.want, readinessInWords(got))
			assert.Equal(t, tc.until, max(0, got.RequeueAt.Sub(now)))
		})
	}
}

func readinessInWords(a ReadinessPlan) (list []string) {
	for _, of := range []struct {
		what  string
		marks []environment.ReadinessAttribute
	}{{"remove", a.Remove}, {"set", a.Set}, {"forget", a.Forget}} {
		for _, m := range of.marks {
			list = append(list, of.what+" "+m.Name+" on "+m.Instance)
		}
	}
	return list
}

// attributes is an ECS whose attributes are changed by calls that may be lost, done without an answer, or done late; and an
// executor that dies now and then.
type attributes struct {
	*rand.Rand
	s       ReadinessState
	marks   map[environment.AttributeKey]environment.ReadinessAttribute // etcd
	present map[environment.AttributeKey]bool                           // ECS
	late    []func()                                                    // calls that are still under way, done at the latest when they are no more possible
	due     []time.Time
}

// However calls and processes end, each attribute that is there, or may come, is on record, so that it is taken away in the
// end; and in the end the attributes are where all daemons run, and nowhere else.
func TestReadinessAttributesFollowTheDaemons(t *testing.T) {
	for seed := range uint64(300) {
		w := &attributes{Rand: rand.New(rand.NewPCG(seed, 2)), marks: map[environment.AttributeKey]environment.ReadinessAttribute{}, present: map[environment.AttributeKey]bool{}}
		w.s = ReadinessState{Cluster: "arn:cluster/prod", Fresh: true, Now: now, ConfirmTimeout: settle}
		for range 100 {
			w.happen()
			w.act(true)
			for key := range w.present {
				require.Contains(t, w.marks, key, "seed %d: an attribute is there that nobody knows of", seed)
			}
		}
		for range 10 {
			w.s.Now = w.s.Now.Add(environment.AttributeWindow + settle)
			w.land(true)
			w.act(false)
		}
		require.Empty(t, readinessInWords(PlanReadiness(w.s)), "seed %d: no end", seed)
		want := map[environment.AttributeKey]bool{}
		for _, i := range w.s.Instances {
			for _, attribute := range []string{"ready", "warm"} {
				a := readinessBuilder{ReadinessState: w.s, daemons: map[string][]daemon{}}
				a.indexDaemons()
				key := environment.AttributeKey{Name: attribute, Instance: i.ARN}
				if a.allRunning(i, attribute) && (i.AgentConnected || w.present[key]) {
					want[key] = true
				}
			}
		}
		require.Equal(t, want, w.present, "seed %d", seed)
	}
}

// happen changes what the decision sees, and lets calls that are under way be done.
func (w *attributes) happen() {
	w.s.Now = w.s.Now.Add(time.Duration(w.IntN(20)) * time.Second)
	w.land(false)
	w.s.Fresh = w.IntN(8) > 0
	if w.IntN(3) > 0 {
		return
	}
	w.s.Instances, w.s.Environments, w.s.Tasks = nil, nil, nil
	for n := range 3 {
		w.s.Instances = append(w.s.Instances, environment.Instance{ARN: fmt.Sprint("i", n), Status: "ACTIVE", AgentConnected: w.IntN(6) > 0})
	}
	for n := range 3 {
		name := fmt.Sprint("e", n)
		w.s.Environments = append(w.s.Environments, naming(name, []string{"", "ready", "ready", "ready", "warm"}[w.IntN(5)]))
		for _, i := range w.s.Instances {
			if w.IntN(5) > 0 {
				w.s.Tasks = append(w.s.Tasks, environment.Task{ARN: name + i.ARN, Instance: i.ARN, StartedBy: name, LastStatus: "RUNNING", DesiredStatus: "RUNNING"})
			}
		}
	}
}

// land does calls that are under way: some of them, and all that have to be done by now.
func (w *attributes) land(all bool) {
	for n := 0; n < len(w.late); {
		if all || w.IntN(4) == 0 || !w.s.Now.Before(w.due[n]) {
			w.late[n]()
			w.late, w.due = slices.Delete(w.late, n, n+1), slices.Delete(w.due, n, n+1)
			continue
		}
		n++
	}
}

func (w *attributes) act(trouble bool) {
	w.s.Fresh = w.s.Fresh || !trouble
	w.s.Attributes = slices.Collect(maps.Values(w.marks))
	plan := PlanReadiness(w.s)
	for _, m := range plan.Remove {
		w.call(m, false, trouble)
	}
	for _, m := range plan.Set {
		w.call(m, true, trouble)
	}
	for _, m := range plan.Forget {
		delete(w.marks, m.Key())
	}
	w.s.Attributes = slices.Collect(maps.Values(w.marks))
}

func (w *attributes) call(before environment.ReadinessAttribute, set, trouble bool) {
	key := before.Key()
	do := func() {
		if set {
			w.present[key] = true
		} else {
			delete(w.present, key)
		}
	}
	w.marks[key] = AnnouncedAttribute(before, w.s.Now)
	outcome := 9
	if trouble {
		outcome = w.IntN(10)
	}
	switch outcome {
	case 0: // it died before the call
		return
	case 1: // or after it
		do()
		return
	case 2: // the answer is lost, and the call is under way for long
		w.late = append(w.late, do)
		w.due = append(w.due, w.marks[key].NotAfter.Add(settle))
		return
	case 3: // throttled
		if w.marks[key] = before; before.State == "" {
			delete(w.marks, key)
		}
		return
	}
	do()
	after, gone := AnsweredAttribute(before, set, settle, w.s.Now)
	if w.marks[key] = after; gone {
		delete(w.marks, key)
	}
}
