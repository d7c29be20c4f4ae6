package planner

import (
	"testing"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestConfirm_AnUnansweredOrInvisibleLaunchOccupiesItsInstance(t *testing.T) {
	running := task("t1", current, "RUNNING")
	checkScenarios(t, map[string]scenario{
		"an open launch occupies the instance": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 0)},
			waits:    []string{"i1: ECS has not responded to StartTask yet."}, requeueIn: 40 * time.Second,
			wantStatus: environment.Running,
		},
		"an open launch of an earlier deployment occupies the instance": {
			launches:  []environment.Launch{launch(environment.LaunchOpen, 39*time.Second, of(earlier))},
			waits:     []string{"i1: ECS has not responded to StartTask yet."},
			requeueIn: time.Second, wantStatus: environment.Running,
		},
		"an open launch is confirmed after the timeout": {
			launches:   []environment.Launch{launch(environment.LaunchOpen, 40*time.Second)},
			want:       []string{"confirm i1: ECS did not respond to StartTask; checking with ECS."},
			wantStatus: environment.Running,
		},
		"an open launch of an unknown deployment is confirmed after the timeout": {
			launches:   []environment.Launch{launch(environment.LaunchOpen, 40*time.Second, of(foreign))},
			want:       []string{"confirm i1: ECS did not respond to StartTask; checking with ECS."},
			wantStatus: environment.Running, next: []string{startI1},
		},
		"an open launch stays open while StartTask may be under way, though a task is visible": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 20*time.Second)}, tasks: []environment.Task{running},
			waits: []string{"i1: ECS has not responded to StartTask yet."}, requeueIn: 20 * time.Second,
			wantStatus: environment.Completed,
		},
		"an open launch whose task is visible is not confirmed with ECS": {
			launches: []environment.Launch{launch(environment.LaunchOpen, 40*time.Second)}, tasks: []environment.Task{running},
			want: []string{"record i1: The task was found."}, wantStatus: environment.Completed,
		},
		"a started launch of an unknown deployment does not occupy the instance": {
			launches: []environment.Launch{launch(environment.LaunchStarted, time.Second, of(foreign), named("t9"))},
			want:     []string{startI1}, wantStatus: environment.Running,
		},
		"a started task that is not seen yet occupies the instance": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Second, named("t1"))},
			waits:    []string{"i1: The task has not appeared in the cluster state yet."}, requeueIn: 30 * time.Second,
			wantStatus: environment.Running,
		},
		"a started task that was never seen is confirmed with ECS": {
			launches:   []environment.Launch{launch(environment.LaunchStarted, 40*time.Second, named("t1"))},
			want:       []string{"confirm i1: The task has not appeared in the cluster state; checking with ECS."},
			wantStatus: environment.Running,
		},
		"a started task that was never seen is confirmed again later": {
			launches: []environment.Launch{
				launch(environment.LaunchStarted, time.Minute, named("t1"), because("", 12*time.Second)),
			},
			waits: []string{"i1: The task has not appeared in the cluster state yet."}, requeueIn: 12 * time.Second,
			wantStatus: environment.Running,
		},
		"a superseded task that is not seen yet occupies the instance": {
			launches: []environment.Launch{launch(environment.LaunchStarted, 10*time.Second, of(earlier), named("t1"))},
			waits:    []string{"i1: The task has not appeared in the cluster state yet."}, requeueIn: 30 * time.Second,
			wantStatus: environment.Running,
		},
	})
}
