package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/query"
)

// only is the row's state, with the current deployment for the instances that the query selects.
func only(r row, query string) State {
	s := r.state()
	d := s.Environment.Deployments[current]
	d.Revision = 2
	s.Environment.Deployments[current] = d
	s.Environment.Revisions = []environment.Revision{
		{Number: 1, Spec: environment.Spec{TaskDefinition: "agent:1"}},
		{Number: 2, Spec: environment.Spec{TaskDefinition: agent2, Query: query}},
	}
	return s
}

func in(zone string, i environment.Instance) environment.Instance {
	i.Attributes = query.Map{"zone": zone}
	return i
}

func TestInstancesThatDoNotMatch(t *testing.T) {
	const stopT1 = "stop t1: blox: the instance does not match environment logs"
	out := []environment.Instance{in("b", active("i1"))}
	for name, tc := range map[string]row{
		"get no task": {instances: out},
		"lose their task": {
			instances: out, tasks: []environment.Task{task("t1", current, "RUNNING")}, want: []string{stopT1}, until: time.Minute,
		},
		"lose an earlier deployment's task": {
			instances: out, tasks: []environment.Task{task("t1", earlier, "RUNNING")}, want: []string{stopT1}, until: time.Minute,
		},
		"keep the tasks of others": {instances: out, tasks: []environment.Task{task("t1", foreign, "RUNNING")}},
		"are not told twice":       {instances: out, tasks: []environment.Task{with(task("t1", current, "RUNNING"), stopping)}},
		"lose nothing while the copy is old": {
			instances: out, tasks: []environment.Task{task("t1", current, "RUNNING")}, stale: true, until: time.Second,
		},
		"lose nothing while the agent is away": {
			instances: []environment.Instance{in("b", environment.Instance{ARN: "i1", Status: "ACTIVE"})},
			tasks:     []environment.Task{task("t1", current, "RUNNING")},
		},
		"have not failed": {
			instances: out, launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, because("AGENT", time.Minute))},
			want: []string{"forget i1: The instance does not match the instance group."},
		},
		"are occupied by an open launch": {
			instances: out, launches: []environment.Launch{launch(environment.LaunchOpen, time.Second)},
			waits: []string{"i1: StartTask was not answered yet."}, until: 39 * time.Second,
		},
		"may still get a task that was started": {
			instances: out, launches: []environment.Launch{launch(environment.LaunchStarted, time.Second, named("t1"))},
			waits: []string{"i1: The task has not appeared in the cluster state yet."}, until: 39 * time.Second,
		},
		"are forgotten once their task has stopped": {
			instances: out, launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))},
			tasks: []environment.Task{task("t1", current, "STOPPED")}, want: []string{"forget i1: The instance does not match the instance group."},
		},
		"leave the others alone": {
			instances: append(on("ACTIVE", "i2")[:0:0], out[0], in("a", active("i2"))), want: []string{"start i2: The instance has no task of the deployment."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := only(tc, "attribute:zone == a")
			plan := Make(s)
			assert.Equal(t, tc.want, texts(plan.Actions))
			var waits []string
			for _, w := range plan.Waits {
				waits = append(waits, w.Instance+": "+w.Reason)
			}
			assert.Equal(t, tc.waits, waits)
			if tc.until != 0 {
				assert.Equal(t, now.Add(tc.until), plan.RequeueAt)
			} else {
				assert.Zero(t, plan.RequeueAt)
			}
			assert.Empty(t, plan.Failed)
			assert.LessOrEqual(t, plan.Counts.Desired, 1)
			assert.Empty(t, Make(done(s, plan)).Actions, "planning again finds work")
		})
	}
}

func TestAnInstanceGroupThatCannotBeReadHoldsEverything(t *testing.T) {
	s := only(row{
		instances: []environment.Instance{active("i1"), active("i2")},
		tasks:     []environment.Task{task("t1", current, "RUNNING"), task("t2", earlier, "RUNNING")},
	}, "a later language")
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	require.Len(t, plan.Waits, 1)
	assert.Contains(t, plan.Waits[0].Reason, "The instance group cannot be parsed: query: column 1: ")
}

func TestAPausedEnvironmentIsLeftAsItIs(t *testing.T) {
	s := row{
		instances: []environment.Instance{active("i1"), active("i2"), active("i3")},
		tasks: []environment.Task{
			task("t1", current, "RUNNING"), task("t2", current, "RUNNING"),
			with(task("t3", earlier, "RUNNING"), func(t *environment.Task) { t.Instance = "i2" }),
		},
	}.state()
	assert.Len(t, Make(s).Actions, 3)
	s.Environment.Paused = true
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	assert.Equal(t, []Wait{{"i2", "The environment is paused."}, {"i3", "The environment is paused."}}, plan.Waits)
	assert.Equal(t, environment.Counts{Desired: 3, Running: 1, Outdated: 1}, plan.Counts)
	assert.Zero(t, plan.RequeueAt)
	assert.Equal(t, environment.Pending, plan.Progress.Status, "what is paused does not go on")

	s.Launches["i3"] = environment.Launch{Instance: "i3", Deployment: current, State: environment.LaunchOpen, NotAfter: now.Add(-time.Hour)}
	assert.Equal(t, []string{"confirm i3: StartTask was not answered; checking with ECS."}, texts(Make(s).Actions), "what is under way is settled")
}

func TestADeletedEnvironmentStopsItsTasks(t *testing.T) {
	deleted := func(r row) State {
		s := r.state()
		s.Environment = s.Environment.Delete(now)
		return s
	}
	t.Run("everywhere", func(t *testing.T) {
		plan := Make(deleted(row{
			instances: on("DRAINING", "i1"), tasks: []environment.Task{
				task("t1", current, "RUNNING"), task("t2", earlier, "PENDING"), task("t3", foreign, "RUNNING"),
				with(task("t4", current, "RUNNING"), func(t *environment.Task) { t.Instance = "i9" }),
			},
			launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute)},
		}))
		assert.Equal(t, []string{
			"stop t1: blox: deleted environment logs", "stop t2: blox: deleted environment logs", "stop t4: blox: deleted environment logs",
		}, texts(plan.Actions))
		assert.False(t, plan.DeletionComplete)
		assert.Equal(t, environment.Counts{Pending: 1, Outdated: 2}, plan.Counts, "what is still to stop")
	})
	for name, tc := range map[string]struct {
		row
		gone bool
	}{
		"nothing is left":                {row{}, true},
		"nothing is started":             {row{tasks: []environment.Task{task("t1", current, "STOPPED")}, launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))}}, true},
		"a task is stopping":             {row{tasks: []environment.Task{with(task("t1", current, "RUNNING"), stopping)}}, false},
		"a launch is open":               {row{launches: []environment.Launch{launch(environment.LaunchOpen, time.Second)}}, false},
		"a task is not seen yet":         {row{launches: []environment.Launch{launch(environment.LaunchStarted, time.Second, named("t1"))}}, false},
		"the copy is old":                {row{stale: true}, false},
		"nothing was deployed":           {row{noneYet: true}, true},
		"an unsuccessful launch is none": {row{launches: []environment.Launch{launch(environment.LaunchFailed, time.Second)}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Make(deleted(tc.row))
			assert.Empty(t, plan.Actions)
			assert.Equal(t, tc.gone, plan.DeletionComplete)
			if !plan.DeletionComplete && len(tc.tasks) == 0 {
				assert.NotZero(t, plan.RequeueAt)
			}
		})
	}
	plan := Make(deleted(row{launches: []environment.Launch{launch(environment.LaunchOpen, time.Hour)}}))
	assert.Equal(t, []string{"confirm i1: StartTask was not answered; checking with ECS."}, texts(plan.Actions))
	assert.False(t, Make(row{}.state()).DeletionComplete)
}
