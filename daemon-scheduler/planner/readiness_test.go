package planner

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/query"
)

// naming returns an environment whose deployment, with the environment's name as its id, names the attribute.
func naming(name, attribute string, more ...func(*environment.Environment)) environment.Environment {
	e := environment.New(name, "arn:cluster/prod", agent2, "token")
	e.Revisions = []environment.Revision{
		{Number: 1, Spec: environment.Spec{TaskDefinition: agent2, ReadinessAttribute: attribute}},
	}
	e.Deployments[name] = environment.Deployment{
		ID:             name,
		Status:         environment.Completed,
		TaskDefinition: agent2,
		StartTime:      now,
	}
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

func attribute(state environment.AttributeState, ago ...time.Duration) environment.ReadinessAttribute {
	m := environment.ReadinessAttribute{
		Name:          "ready",
		Instance:      "i1",
		Cluster:       "arn:cluster/prod",
		State:         state,
		StoredVersion: 7,
	}
	for _, t := range ago {
		m.NotAfter = now.Add(-t)
	}
	return m
}

func TestPlanReadiness_DecidesForEachAttribute(t *testing.T) {
	logs, metrics := naming("logs", "ready"), naming("metrics", "ready")
	oneRuns := []environment.Task{task("t1", "logs", "RUNNING")}
	bothRun := append(slices.Clip(oneRuns), task("t2", "metrics", "RUNNING"))
	both := []environment.Environment{logs, metrics}
	away := []environment.Instance{{ARN: "i1", Status: "ACTIVE"}}
	const set, remove, forget = "set ready on i1", "remove ready on i1", "forget ready on i1"
	for name, tc := range map[string]struct {
		envs       []environment.Environment
		tasks      []environment.Task
		attributes []environment.ReadinessAttribute
		instances  []environment.Instance // i1, ACTIVE and connected, when nil
		stale      bool
		suppressed time.Duration
		want       []string
		requeueIn  time.Duration
	}{
		"an environment without a deployment does not count": {
			envs: []environment.Environment{logs, naming("new", "ready", created)}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
		},
		"an environment counts once its first deployment begins": {
			envs: []environment.Environment{logs, naming("new", "ready", begun)}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
			want:       []string{remove},
		},
		"a canary of the first deployment counts only where it has started": {
			envs: []environment.Environment{logs, naming("new", "ready", begun, canary)}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
		},
		"a canary of the first deployment has to run where it has started": {
			envs:       []environment.Environment{logs, naming("new", "ready", begun, canary)},
			tasks:      append(slices.Clip(oneRuns), task("t3", "new", "PENDING")),
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
			want:       []string{remove},
		},
		"no environment names an attribute": {
			envs: []environment.Environment{naming("logs", "")}, tasks: oneRuns, stale: true,
		},
		"no daemon runs":  {envs: both},
		"one of two runs": {envs: both, tasks: oneRuns},
		"both run":        {envs: both, tasks: bothRun, want: []string{set}},
		"both run, and it is set": {
			envs: both, tasks: bothRun, attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
		},
		"one stopped": {
			envs: both, tasks: oneRuns, attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
			want: []string{remove},
		},
		"one is stopping": {
			envs: both, tasks: append(slices.Clip(oneRuns), with(task("t2", "metrics", "RUNNING"), stopping)),
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)}, want: []string{remove},
		},
		"one is pending": {
			envs: both, tasks: append(slices.Clip(oneRuns), task("t2", "metrics", "PENDING")),
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)}, want: []string{remove},
		},
		"another's task is no daemon": {
			envs: both, tasks: append(slices.Clip(oneRuns), task("t2", foreign, "RUNNING")),
		},
		"a daemon of another attribute does not count": {
			envs: []environment.Environment{logs, naming("metrics", "warm")}, tasks: oneRuns, want: []string{set},
		},
		"an environment that is being deleted does not count": {
			envs: []environment.Environment{logs, naming("metrics", "ready", deleting)}, tasks: oneRuns,
			want: []string{set},
		},
		"the only one is being deleted": {
			envs: []environment.Environment{naming("logs", "ready", deleting)}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)}, want: []string{remove},
		},
		"a daemon for other instances does not count": {
			envs:  []environment.Environment{logs, naming("metrics", "ready", querying("attribute:gpu exists"))},
			tasks: oneRuns, want: []string{set},
		},
		"a daemon for such instances counts": {
			envs:  []environment.Environment{logs, naming("metrics", "ready", querying("attribute:gpu exists"))},
			tasks: oneRuns,
			instances: []environment.Instance{
				{ARN: "i1", Status: "ACTIVE", AgentConnected: true, Attributes: query.Map{"gpu": ""}},
			},
		},
		"a daemon with an unknown query counts": {
			envs:  []environment.Environment{logs, naming("metrics", "ready", querying("attribute:gpu beats 3"))},
			tasks: oneRuns,
		},
		"the only one is for others": {
			envs: []environment.Environment{naming("logs", "ready", querying("attribute:gpu exists"))}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)}, want: []string{remove},
		},
		"a paused environment counts": {
			envs:  []environment.Environment{naming("logs", "ready", func(e *environment.Environment) { e.Paused = true })},
			tasks: oneRuns, want: []string{set},
		},
		"an older deployment's task counts": {
			envs: []environment.Environment{naming("logs", "ready", func(e *environment.Environment) {
				e.Deployments[earlier] = environment.Deployment{ID: earlier, Status: environment.Completed}
			})},
			tasks: []environment.Task{task("t1", earlier, "RUNNING")}, want: []string{set},
		},
		"no environment names it any more": {
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)}, want: []string{remove},
		},
		"another one is named now": {
			envs: []environment.Environment{naming("logs", "warm")}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
			want:       []string{remove, "set warm on i1"},
		},
		"the cluster state is stale": {
			envs: both, tasks: oneRuns, attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
			stale: true, requeueIn: staleRecheck,
		},
		"draining keeps it": {
			envs: []environment.Environment{logs}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
			instances:  on("DRAINING", "i1"),
		},
		"draining does not get it": {
			envs: []environment.Environment{logs}, tasks: oneRuns, instances: on("DRAINING", "i1"),
		},
		"draining loses it": {
			envs:       []environment.Environment{logs},
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
			instances:  on("DRAINING", "i1"), want: []string{remove},
		},
		"disconnected keeps it": {
			envs: []environment.Environment{logs}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)}, instances: away,
		},
		"disconnected does not get it": {envs: []environment.Environment{logs}, tasks: oneRuns, instances: away},
		"disconnected loses it": {
			envs:       []environment.Environment{logs},
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)}, instances: away,
			want: []string{remove},
		},
		"the instance left": {
			envs:       []environment.Environment{logs},
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet)},
			instances:  on("INACTIVE", "i1"), want: []string{forget},
		},
		"the instance is unknown": {
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeOpen, 0)},
			instances:  on("ACTIVE", "i2"), want: []string{forget},
		},
		"announced and then nothing": {
			envs: []environment.Environment{logs}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeOpen, -time.Second)},
			want:       []string{set},
		},
		"announced and not wanted": {
			envs:       []environment.Environment{logs},
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeOpen, -time.Second)},
			want:       []string{remove},
		},
		"removed, and it may come back": {
			envs:       []environment.Environment{logs},
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeRemoved, time.Second)},
			requeueIn:  confirmTimeout - time.Second,
		},
		"removed, and it may have": {
			envs:       []environment.Environment{logs},
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeRemoved, confirmTimeout)},
			want:       []string{remove},
		},
		"removed, and wanted again": {
			envs: []environment.Environment{logs}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeRemoved, time.Second)},
			want:       []string{set},
		},
		"set, and it may go": {
			envs: []environment.Environment{logs}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet, time.Second)},
			requeueIn:  confirmTimeout - time.Second,
		},
		"set, and it may have gone": {
			envs: []environment.Environment{logs}, tasks: oneRuns,
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet, confirmTimeout)},
			want:       []string{set},
		},
		"set, and not wanted in spite of it": {
			envs:       []environment.Environment{logs},
			attributes: []environment.ReadinessAttribute{attribute(environment.AttributeSet, time.Second)},
			want:       []string{remove},
		},
		"refused a moment ago": {
			envs: []environment.Environment{logs}, tasks: oneRuns, suppressed: time.Minute, requeueIn: time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := ReadinessState{
				Cluster:        "arn:cluster/prod",
				Environments:   tc.envs,
				Attributes:     tc.attributes,
				Fresh:          !tc.stale,
				Instances:      tc.instances,
				Tasks:          tc.tasks,
				Now:            now,
				ConfirmTimeout: confirmTimeout,
			}
			if s.Instances == nil {
				s.Instances = []environment.Instance{active("i1")}
			}
			if tc.suppressed > 0 {
				s.SuppressedUntil = map[environment.AttributeKey]time.Time{{Name: "ready", Instance: "i1"}: now.Add(tc.suppressed)}
			}
			got := PlanReadiness(s)
			assert.Equal(t, tc.want, readinessTexts(got))
			assert.Equal(t, tc.requeueIn, max(0, got.RequeueAt.Sub(now)))
		})
	}
}

func readinessTexts(a ReadinessPlan) (list []string) {
	for _, of := range []struct {
		what       string
		attributes []environment.ReadinessAttribute
	}{{"remove", a.Remove}, {"set", a.Set}, {"forget", a.Forget}} {
		for _, m := range of.attributes {
			list = append(list, of.what+" "+m.Name+" on "+m.Instance)
		}
	}
	return list
}
