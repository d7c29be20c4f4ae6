package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestConfirmLaunch_RecordsTheOutcome(t *testing.T) {
	alive, dead := task("t1", current, "PENDING"), task("t1", current, "STOPPED")
	for name, tc := range map[string]struct {
		launch environment.Launch
		found  []environment.Task
		want   environment.LaunchState
		task   string
		reason string
		next   time.Duration // from now
	}{
		"open, a task lives": {
			launch(environment.LaunchOpen, 40*time.Second), []environment.Task{alive}, environment.LaunchStarted, "t1",
			"", 30 * time.Second,
		},
		"open, nothing lives": {
			launch(environment.LaunchOpen, 40*time.Second), nil, environment.LaunchFailed, "", "", 0,
		},
		"open, only dead ones": {
			launch(environment.LaunchOpen, 40*time.Second), []environment.Task{dead}, environment.LaunchFailed, "", "",
			0,
		},
		"open after a failure, nothing lives": {
			launch(environment.LaunchOpen, 40*time.Second, because("AGENT", 0)), nil, environment.LaunchFailed, "",
			"AGENT", 0,
		},
		"started, lives, long unseen": {
			launch(environment.LaunchStarted, 130*time.Second, named("t1")), []environment.Task{alive},
			environment.LaunchStarted, "t1", "", 2 * time.Minute,
		},
		"started, dead": {
			launch(environment.LaunchStarted, 40*time.Second, named("t1"), attempt(4), failures(3)), []environment.Task{dead},
			environment.LaunchFailed, "t1", "STOPPED", 50 * time.Second,
		},
		"started, MISSING soon after": {
			launch(environment.LaunchStarted, 40*time.Second, named("t1")), nil, environment.LaunchStarted, "t1", "",
			30 * time.Second,
		},
		"started, MISSING after 5 min": {
			launch(environment.LaunchStarted, 311*time.Second, named("t1")), nil, environment.LaunchFailed, "t1", "", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := ConfirmLaunch(tc.launch, tc.found, now)
			assert.Equal(t, tc.want, got.State)
			assert.Equal(t, tc.task, got.Task)
			assert.Equal(t, tc.reason, got.Reason)
			assert.Equal(t, now.Add(tc.next), got.NextAttemptAt)
		})
	}
}

func TestFailedLaunch_BacksOff(t *testing.T) {
	for attempts, want := range map[int]time.Duration{
		1: 10 * time.Second, 2: 20 * time.Second, 5: 160 * time.Second, 6: 300 * time.Second, 1000: 300 * time.Second,
	} {
		l := launch(environment.LaunchOpen, 0, attempt(attempts), failures(attempts-1))
		got := FailedLaunch(l, "AGENT", "the agent is away", now)
		assert.Equal(t, now.Add(want), got.NextAttemptAt, "attempt %d", attempts)
		assert.Equal(t, environment.LaunchFailed, got.State)
		assert.Equal(t, "AGENT", got.Reason)
	}
}
