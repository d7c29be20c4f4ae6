package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// A start is retried after a tenth of the delay if its instance has improved since it failed.
func TestRetry_StartsEarlyWhenTheInstanceImproves(t *testing.T) {
	for name, tc := range map[string]struct {
		launch      environment.Launch
		improvedAgo time.Duration // ago
		want        string
		requeueIn   time.Duration
	}{
		"nothing has changed": {failedLaunch("RESOURCE:MEMORY", 1, 2*time.Second), 0, "", 8 * time.Second},
		"it has changed since": {
			failedLaunch("RESOURCE:MEMORY", 1, 2*time.Second), time.Second,
			"start i1: Retrying, as the instance has changed since the last failure.", 0,
		},
		"it had changed before the try": {
			failedLaunch("RESOURCE:MEMORY", 1, 2*time.Second), 3 * time.Second, "", 8 * time.Second,
		},
		"it has changed at once": {
			failedLaunch("AGENT", 1, 400*time.Millisecond), 100 * time.Millisecond, "", 600 * time.Millisecond,
		},
		"it keeps changing": {
			failedLaunch("RESOURCE:PORTS", 4, 2*time.Second), time.Second, "", 6 * time.Second,
		},
		"what keeps dying is no failure": {failedLaunch("STOPPED", 1, 2*time.Second), time.Second, "", 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Make(scenario{launches: []environment.Launch{tc.launch}, improvedAgo: tc.improvedAgo}.state())
			if tc.want == "" {
				assert.Empty(t, plan.Actions)
				assert.Equal(t, now.Add(tc.requeueIn), plan.RequeueAt)
				return
			}
			if assert.Len(t, plan.Actions, 1) {
				a := plan.Actions[0]
				assert.Equal(t, tc.want, string(a.Kind)+" "+a.Instance+": "+a.Reason)
				assert.Equal(t, tc.launch.Attempts+1, a.Launch.Attempts)
			}
		})
	}
}

// t0 stopped, t1 was started, and its answer was lost. A new leader, whose stale cluster state still shows t0, finds
// the launch open. It must query ECS. Otherwise it would take t0 for the launch's task and start another one beside
// t1.
func TestAwaitConfirmation_ChecksWithECSWhileTheClusterStateIsStale(t *testing.T) {
	t0 := task("t0", current, "RUNNING")
	s := scenario{
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

func TestRetry_ReplacesTasksThatStopped(t *testing.T) {
	checkScenarios(t, map[string]scenario{
		"the first task that stops after it ran is replaced at once": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 15*time.Second, named("t1"))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(3*time.Second))},
			want:     []string{"start i1: Replacing a task that stopped."}, wantStatus: environment.Running,
		},
		"a task that never ran is replaced after 10 s": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 15*time.Second, named("t1"))},
			tasks:    []environment.Task{task("t1", current, "STOPPED")},
			want:     []string{"record i1: The task keeps stopping."}, requeueIn: 5 * time.Second,
			wantStatus: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
		"the third task that stops after it ran is replaced after 20 s": {
			launches: []environment.Launch{
				launch(environment.LaunchStarted, 12*time.Second, named("t1"), attempt(3), failures(2)),
			},
			tasks: []environment.Task{with(task("t1", current, "STOPPED"), ran(3*time.Second))},
			want:  []string{"record i1: The task keeps stopping."}, requeueIn: 18 * time.Second,
			wantStatus: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
		"the hundredth task that stops after it ran is replaced after 5 min": {
			launches: []environment.Launch{
				launch(environment.LaunchStarted, 10*time.Second, named("t1"), attempt(100), failures(99)),
			},
			tasks: []environment.Task{with(task("t1", current, "STOPPED"), ran(3*time.Second))},
			want:  []string{"record i1: The task keeps stopping."}, requeueIn: 5 * time.Minute,
			wantStatus: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
		"a task that ran for five minutes is replaced at once": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 6*time.Minute, named("t1"), attempt(100))},
			tasks:    []environment.Task{with(task("t1", current, "STOPPED"), ran(5*time.Minute))},
			want:     []string{"start i1: Replacing a task that stopped."}, wantStatus: environment.Running,
		},
		"a task without a launch record is replaced at once": {
			tasks: []environment.Task{task("t1", current, "STOPPED")}, want: []string{startI1}, wantStatus: environment.Running,
		},
		"a deployment whose tasks all stopped is not completed": {
			tasks: []environment.Task{task("t1", current, "STOPPED")},
			launches: []environment.Launch{
				launch(environment.LaunchFailed, time.Minute, named("t1"), because("STOPPED", time.Minute)),
			},
			waits: []string{"i1: Backing off after a failure: STOPPED"}, requeueIn: time.Minute,
			wantStatus: environment.Running, health: environment.Unhealthy,
			failed: []environment.FailedInstance{{Arn: "i1", Reason: "STOPPED"}},
		},
	})
}

func TestRetry_CountsAttempts(t *testing.T) {
	attempts := func(r scenario) int { return Make(r.state()).Actions[0].Launch.Attempts }
	dead := task("t1", current, "STOPPED")
	assert.Equal(t, 1, attempts(scenario{}))
	assert.Equal(
		t,
		5,
		attempts(
			scenario{
				launches: []environment.Launch{
					launch(environment.LaunchFailed, time.Minute, attempt(4), because("AGENT", -time.Second)),
				},
			},
		),
	)
	assert.Equal(
		t,
		4,
		attempts(scenario{launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, attempt(4))}}),
		"ECS knows nothing of it",
	)
	assert.Equal(
		t,
		1,
		attempts(
			scenario{launches: []environment.Launch{launch(environment.LaunchFailed, time.Minute, of(earlier), attempt(4))}},
		),
	)
	assert.Equal(t, 2, attempts(scenario{
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Minute, named("t1"))},
		tasks:    []environment.Task{with(dead, ran(time.Second))},
	}))
	assert.Equal(t, 1, attempts(scenario{
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"), attempt(9))},
		tasks:    []environment.Task{with(dead, ran(6*time.Minute))},
	}))
}
