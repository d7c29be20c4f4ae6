package planner

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestDryRun_ListsStepsInBatches(t *testing.T) {
	waiting := launch(environment.LaunchFailed, time.Minute, because("AGENT", time.Minute))
	waiting.Instance, waiting.HadNoTask = "i4", true
	s := scenario{
		instances: []environment.Instance{active("i1"), active("i2"), active("i3"), active("i4")},
		tasks: []environment.Task{
			task(
				"t1",
				earlier,
				"RUNNING",
			),
			at("i2", task("t2", current, "PENDING")),
			at("i1", with(task("t0", current, "RUNNING"), stopping)),
		},
		launches: []environment.Launch{waiting, launch(environment.LaunchStarted, time.Hour, of(earlier), named("t1"))},
	}.state()
	before := len(s.Tasks)
	var got []string
	for _, step := range DryRun(s) {
		got = append(got, fmt.Sprintf("%d %s %s%s: %s", step.Batch, step.Action, step.Instance, step.Task, step.Reason))
	}
	assert.Equal(t, []string{
		"1 start i3: The instance has no task of the deployment.",
		"2 stop i1t1: blox: superseded task of environment logs",
		"3 start i1: The instance has no task of the deployment.",
		"4 wait i4: Backing off after a failure: AGENT",
	}, got)
	assert.Len(t, s.Tasks, before, "the present is not changed")
	assert.Len(t, s.Launches, 2)
	assert.Equal(t, "PENDING", s.Tasks[1].LastStatus)

	assert.Empty(t, DryRun(scenario{tasks: []environment.Task{task("t1", current, "RUNNING")}}.state()))
	paused := scenario{}.state()
	paused.Environment.Paused = true
	assert.Equal(
		t,
		[]environment.Step{{Batch: 1, Action: "wait", Instance: "i1", Reason: "The environment is paused."}},
		DryRun(paused),
	)
	assert.Equal(t, "The cluster state is stale.", DryRun(scenario{stale: true}.state())[0].Reason)
}

func TestDryRun_KeepsToThePercentages(t *testing.T) {
	f := newFleet(t, 9, 20, environment.Spec{})
	stops := map[int]int{}
	for _, s := range DryRun(f.state) {
		if s.Action == "stop" {
			stops[s.Batch]++
			assert.True(t, strings.HasPrefix(s.Reason, "blox: superseded task"))
		}
	}
	total := 0
	for batch, n := range stops {
		assert.LessOrEqual(t, n, 2, "batch %d", batch)
		total += n
	}
	assert.Equal(t, 20, total)
}
