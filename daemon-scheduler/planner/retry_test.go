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
