package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// t0 died, t1 was launched and its answer lost; a new leader, whose old copy still shows t0 alive, finds the launch open. It
// must ask ECS, not believe its copy: else the launch would pass for t0's, and t1 be started a second time.
func TestAnOldCopySettlesNoOpenLaunch(t *testing.T) {
	t0 := task("t0", current, "RUNNING")
	s := row{
		stale: true, tasks: []environment.Task{t0},
		launches: []environment.Launch{launch(environment.LaunchOpen, 41*time.Second, attempt(1))},
	}.state()
	for _, a := range Make(s).Actions {
		assert.NotEqual(t, Record, a.Kind)
		if a.Kind == Record {
			s.Launches["i1"] = a.Launch
		}
	}
	// The copy catches up with t0's end; t1's event is late.
	s.Fresh, s.Now = true, now.Add(time.Second)
	s.Tasks = []environment.Task{with(task("t0", current, "STOPPED"), ran(time.Hour))}
	for _, a := range Make(s).Actions {
		assert.NotEqual(t, Start, a.Kind, "a second live task")
	}
}

// A deployment whose task may live without being seen yet stays in the history: the task would be nobody's.
func TestADeploymentWithAnUnsettledLaunchIsInUse(t *testing.T) {
	other := task("t2", current, "RUNNING")
	other.Instance = "i2"
	for name, l := range map[string]environment.Launch{
		"open":                 launch(environment.LaunchOpen, 5*time.Second, of(earlier)),
		"started and not seen": launch(environment.LaunchStarted, 5*time.Second, of(earlier), named("t1")),
	} {
		t.Run(name, func(t *testing.T) {
			s := row{
				instances: []environment.Instance{{ARN: "i1", Status: "ACTIVE"}, active("i2")}, // i1's agent is away
				tasks:     []environment.Task{other}, launches: []environment.Launch{l},
			}.state()
			plan := Make(s)
			assert.Equal(t, environment.Completed, plan.Progress.Status)
			assert.True(t, plan.InUse[earlier])
		})
	}
}

// Two of one deployment are one too many also where nothing may be started.
func TestSurplusIsStoppedWhereverItIs(t *testing.T) {
	for name, in := range map[string]environment.Instance{
		"draining":     {ARN: "i1", Status: "DRAINING", AgentConnected: true},
		"disconnected": {ARN: "i1", Status: "ACTIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			s := row{
				instances: []environment.Instance{in},
				tasks:     []environment.Task{task("t1", current, "RUNNING"), task("t2", current, "RUNNING"), task("t3", earlier, "RUNNING")},
			}.state()
			var stopped []string
			for _, a := range Make(s).Actions {
				assert.Equal(t, Stop, a.Kind)
				stopped = append(stopped, a.Task)
			}
			assert.Equal(t, []string{"t2"}, stopped)
		})
	}
}

// A record whose history has an entry without an id must not pass for a launch.
func TestNoLaunchIsNoLaunchOfADeploymentWithoutAnID(t *testing.T) {
	s := row{}.state()
	s.Environment.Deployments[""] = environment.Deployment{Status: environment.Completed}
	for _, a := range Make(s).Actions {
		assert.Equal(t, "i1", a.Instance)
	}
}

// An instance that failed stays on the list until its task runs, so that health does not flicker with each try.
func TestAFailedInstanceIsFailedUntilItsTaskRuns(t *testing.T) {
	failing := launch(environment.LaunchStarted, time.Second, attempt(3), named("t1"))
	failing.Reason, failing.Detail = "STOPPED", "it died"
	s := row{tasks: []environment.Task{task("t1", current, "PENDING")}, launches: []environment.Launch{failing}}.state()
	plan := Make(s)
	assert.Equal(t, environment.Unhealthy, plan.Progress.Health)
	assert.Equal(t, []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}}, plan.Failed)
	assert.Empty(t, plan.Actions)

	s.Tasks = []environment.Task{task("t1", current, "RUNNING")}
	plan = Make(s)
	assert.Equal(t, environment.Healthy, plan.Progress.Health)
	assert.Empty(t, plan.Failed)
	if assert.Len(t, plan.Actions, 1) {
		assert.Equal(t, Record, plan.Actions[0].Kind)
		assert.Empty(t, plan.Actions[0].Launch.Reason)
	}
}

// Every launch with every task on every instance: nothing is started where something may live, and nobody is forgotten.
func TestEverySituation(t *testing.T) {
	var launches [][]environment.Launch
	launches = append(launches, nil)
	for _, state := range []environment.LaunchState{environment.LaunchOpen, environment.LaunchStarted, environment.LaunchFailed} {
		for _, ago := range []time.Duration{0, 11 * time.Second, 41 * time.Second, time.Hour} {
			for _, deployment := range []string{current, earlier, foreign, ""} {
				for _, next := range []time.Duration{-time.Hour, 10 * time.Second} {
					launches = append(launches, []environment.Launch{launch(state, ago, of(deployment), named("t1"), because("X", next))})
				}
			}
		}
	}
	instances := []environment.Instance{
		active("i1"), {ARN: "i1", Status: "ACTIVE"}, {ARN: "i1", Status: "DRAINING", AgentConnected: true}, {ARN: "i1", Status: "INACTIVE"}, {ARN: "i1"},
	}
	for _, status := range []string{"", "PROVISIONING", "PENDING", "RUNNING", "DEACTIVATING", "STOPPED", "DELETED", "WHATEVER"} {
		for _, by := range []string{current, earlier} {
			for _, other := range []string{"", "RUNNING", "STOPPED"} {
				for _, in := range instances {
					for _, stale := range []bool{false, true} {
						for _, l := range launches {
							checkSituation(t, row{launches: l, instances: []environment.Instance{in}, stale: stale}, status, by, other)
						}
					}
				}
			}
		}
	}
}

func checkSituation(t *testing.T, r row, status, by, other string) {
	t.Helper()
	live := false
	add := func(arn, by, status string) {
		if status != "" {
			added := task(arn, by, status)
			r.tasks = append(r.tasks, added)
			live = live || added.Live()
		}
	}
	add("t1", by, status)
	add("t2", earlier, other)
	plan := Make(r.state())
	in := r.instances[0]
	able := in.Status == "ACTIVE" && in.AgentConnected
	open := len(r.launches) > 0 && r.launches[0].State == environment.LaunchOpen
	starts := 0
	for _, a := range plan.Actions {
		if a.Kind == Start {
			starts++
		}
	}
	situation := fmt.Sprintf("%+v task %s of %s, other %s", r, status, by, other)
	if starts > 1 || starts == 1 && (live || r.stale || !able || open) {
		t.Fatalf("started: %s", situation)
	}
	if able && !live && len(plan.Actions) == 0 && plan.RequeueAt.IsZero() {
		t.Fatalf("forgotten: %s", situation)
	}
}
