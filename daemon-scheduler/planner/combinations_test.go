package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv/short"
)

// In every combination of launch, tasks and instance, nothing is started where a task may live, and every instance
// without a task has an action or a time to plan again.
func TestMake_IsSafeInEveryCombination(t *testing.T) {
	short.Skip(t, "enumerates every combination of records and tasks")
	var launches [][]environment.Launch
	launches = append(launches, nil)
	for _, state := range []environment.LaunchState{
		environment.LaunchOpen, environment.LaunchStarted, environment.LaunchFailed,
	} {
		for _, ago := range []time.Duration{0, 11 * time.Second, 41 * time.Second, time.Hour} {
			for _, deployment := range []string{current, earlier, foreign, ""} {
				for _, next := range []time.Duration{-time.Hour, 10 * time.Second} {
					launches = append(
						launches,
						[]environment.Launch{launch(state, ago, of(deployment), named("t1"), because("X", next))},
					)
				}
			}
		}
	}
	instances := []environment.Instance{
		active(
			"i1",
		),
		{ARN: "i1", Status: "ACTIVE"},
		{ARN: "i1", Status: "DRAINING", AgentConnected: true},
		{ARN: "i1", Status: "INACTIVE"},
		{ARN: "i1"},
	}
	for _, status := range []string{
		"", "PROVISIONING", "PENDING", "RUNNING", "DEACTIVATING", "STOPPED", "DELETED", "WHATEVER",
	} {
		for _, by := range []string{current, earlier} {
			for _, other := range []string{"", "RUNNING", "STOPPED"} {
				for _, in := range instances {
					for _, stale := range []bool{false, true} {
						for _, l := range launches {
							checkCombination(
								t,
								scenario{launches: l, instances: []environment.Instance{in}, stale: stale},
								status,
								by,
								other,
							)
						}
					}
				}
			}
		}
	}
}

func checkCombination(t *testing.T, r scenario, status, by, other string) {
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
