package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// canaryState returns the instances i0 to i8, three in each of the zones a, b and c. They run the deployment earlier of
// the spec before. The deployment current of the spec after is a canary on 10 percent of them.
func canaryState(before, after environment.Spec) State {
	s := scenario{instances: []environment.Instance{}, status: environment.Running}.state()
	before.TaskDefinition, after.TaskDefinition = "agent:1", agent2
	after.DeploymentConfiguration.Canary = &environment.Canary{Percent: 10}
	s.Environment.Revisions = []environment.Revision{{Number: 1, Spec: before}, {Number: 2, Spec: after}}
	d := s.Environment.Deployments[current]
	d.Revision = 2
	s.Environment.Deployments[current] = d
	for n := range 9 {
		arn := fmt.Sprint("i", n)
		s.Instances = append(s.Instances, in(string("abc"[n%3]), active(arn)))
		s.Tasks = append(s.Tasks, at(arn, task(fmt.Sprint("t", n), earlier, "RUNNING")))
		l := launch(environment.LaunchStarted, time.Hour, of(earlier), named(fmt.Sprint("t", n)))
		l.Instance = arn
		s.Launches[arn] = l
	}
	return s
}

func TestCanary_NarrowerSelectorStopsNothingOutsideTheCanary(t *testing.T) {
	s := canaryState(environment.Spec{}, environment.Spec{Query: "attribute:zone == b"})
	assert.Equal(t, []string{"stop t1: blox: superseded task of environment logs"}, texts(Make(s).Actions),
		"the canary is the first instance that the new selector includes")
	for _, status := range Summarize(s).Instances {
		assert.NotEqual(t, environment.InstanceExcluded, status.Phase, status.Instance.ARN)
	}
	for _, step := range DryRun(s) {
		assert.True(t, step.Action == "wait" || step.Instance == "i1", step)
	}

	s.Environment, _ = s.Environment.Promote(current)
	stopped := 0
	for _, a := range Make(s).Actions {
		if a.StopReason == ReasonNotMatching {
			stopped++
		}
	}
	assert.Equal(t, 6, stopped, "after the promotion, the new selector applies everywhere")
}

func TestCanary_WiderSelectorStartsNoOldTaskWhereItNeverRan(t *testing.T) {
	s := canaryState(environment.Spec{Query: "attribute:zone == a"}, environment.Spec{})
	s.Tasks, s.Launches = nil, map[string]environment.Launch{}
	for _, arn := range []string{"i0", "i3", "i6"} { // zone a
		s.Tasks = append(s.Tasks, at(arn, task("t of "+arn, earlier, "RUNNING")))
	}
	for range 5 {
		for _, a := range Make(s).Actions {
			assert.Equal(t, "i0", a.Instance, "only the canary changes: %v", a)
		}
		s = done(s, Make(s))
	}
	statuses := Summarize(s).Instances
	assert.Equal(t, "The deployment is waiting for promotion.", statuses[1].Reason)
	assert.Equal(t, environment.InstanceExcluded, statuses[1].Phase)

	s.Environment, _ = s.Environment.Promote(current)
	started := map[string]string{}
	for _, a := range Make(s).Actions {
		if a.Kind == Start {
			started[a.Instance] = a.Launch.Deployment
		}
	}
	assert.Equal(t, current, started["i1"], "after the promotion, the new selector applies everywhere")
	assert.Len(t, started, 6)
}

func TestCanary_RunsOnInstancesThatOnlyTheNewSelectorIncludes(t *testing.T) {
	s := canaryState(environment.Spec{Query: "attribute:zone == a"}, environment.Spec{Query: "attribute:zone == b"})
	s.Tasks = []environment.Task{s.Tasks[0], s.Tasks[3], s.Tasks[6]} // zone a
	s.Launches = map[string]environment.Launch{}
	assert.Equal(t, []string{"start i1: The instance has no task of the deployment."}, texts(Make(s).Actions))
	assert.Equal(t, 4, Make(s).Counts.Desired, "the canary, and the instances of the old selector")
}

func TestCanary_ScaleInGoesByTheTargetsRevision(t *testing.T) {
	s := canaryState(environment.Spec{}, environment.Spec{ScaleInAfterMinutes: 20})
	s.Tasks = append(s.Tasks[1:], at("i0", task("new", current, "RUNNING")))
	l := launch(environment.LaunchStarted, time.Hour, named("new"))
	l.Instance = "i0"
	s.Launches["i0"] = l
	assert.Equal(t, []string{"record i0: The scale-in state of the instance changed."}, texts(Make(s).Actions),
		"only the canary's revision releases instances")
	s = done(s, Make(s))
	s.Now = now.Add(time.Hour)
	assert.Equal(t, []string{"record i0: The scale-in state of the instance changed."}, texts(Make(s).Actions))
	s = done(s, Make(s))
	assert.Equal(t, []string{"stop new: blox: the instance is released for scale-in, environment logs"},
		texts(Make(s).Actions))
}

func TestCanary_DrainOrderGoesByTheTargetsRevision(t *testing.T) {
	s := canaryState(environment.Spec{DrainOrder: 1}, environment.Spec{DrainOrder: 9})
	s.Instances = append(on("DRAINING", "i0"), s.Instances[1:]...)
	s.Tasks = append(s.Tasks, at("i0", task("other", "another", "RUNNING")))
	s.DrainOrders = map[string]int{"another": 5}
	var stopped []string
	for _, a := range Make(s).Actions {
		if a.StopReason == ReasonDraining {
			stopped = append(stopped, a.Task)
		}
	}
	assert.Equal(t, []string{"t0"}, stopped, "the instance keeps the old revision, whose daemons stop first")
}

func TestCanary_UnparsableQueryOfTheNewRevisionHoldsEveryInstance(t *testing.T) {
	s := canaryState(environment.Spec{}, environment.Spec{})
	s.Environment.Revisions[1].Spec.DeploymentConfiguration.Canary = &environment.Canary{Query: "a later language"}
	s.Tasks = s.Tasks[1:]
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	assert.Contains(t, plan.Waits[0].Reason, "The canary's query cannot be parsed: ")
}

// A canary renames the readiness attribute on its own instances only.
func TestPlanReadiness_KeepsTheAttributeOfTheOldRevisionOutsideTheCanary(t *testing.T) {
	s := canaryState(environment.Spec{ReadinessAttribute: "ready"}, environment.Spec{ReadinessAttribute: "warm"})
	r := ReadinessState{
		Cluster: s.Environment.Cluster, Environments: []environment.Environment{s.Environment}, Fresh: true,
		Instances: s.Instances, Tasks: append(s.Tasks[1:], at("i0", task("new", current, "RUNNING"))),
		Now: now, ConfirmTimeout: confirmTimeout,
	}
	for _, i := range s.Instances {
		r.Attributes = append(r.Attributes, environment.ReadinessAttribute{
			Name: "ready", Instance: i.ARN, State: environment.AttributeSet,
		})
	}
	assert.Equal(t, []string{"remove ready on i0", "set warm on i0"}, readinessTexts(PlanReadiness(r)))

	r.Tasks = s.Tasks // the canary's old task has stopped, and StartTask is under way
	r.Tasks = r.Tasks[1:]
	assert.Equal(t, []string{"remove ready on i0"}, readinessTexts(PlanReadiness(r)))
}
