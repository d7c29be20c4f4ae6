package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// at is the task on another instance than i1.
func at(instance string, t environment.Task) environment.Task {
	t.Instance = instance
	return t
}

func TestPlace(t *testing.T) {
	failing := launch(environment.LaunchFailed, time.Minute, because("RESOURCE:CPU", time.Minute), attempt(3))
	failing.Instance, failing.Detail = "i4", "too little CPU"
	s := only(row{
		instances: []environment.Instance{
			in("a", active("i1")), in("a", active("i2")), in("a", active("i3")), in("a", active("i4")), in("a", active("i5")), in("b", active("i6")),
			in("a", environment.Instance{ARN: "i7", Status: "DRAINING", AgentConnected: true}), in("a", environment.Instance{ARN: "i8", Status: "ACTIVE"}),
			in("a", environment.Instance{ARN: "i9", Status: "INACTIVE"}),
		},
		tasks: []environment.Task{
			task("t1", current, "RUNNING"), at("i2", task("t2", current, "PENDING")), at("i3", task("t3", earlier, "RUNNING")),
			at("i6", task("t6", current, "RUNNING")), at("i1", task("x", foreign, "RUNNING")),
		},
		launches: []environment.Launch{failing},
	}, "attribute:zone == a")
	var got []string
	for _, p := range InstanceStatuses(s) {
		got = append(got, fmt.Sprintf("%s %s %s%s: %s", p.Instance.ARN, p.Phase, p.Task, p.TaskStatus, p.Reason))
	}
	assert.Equal(t, []string{
		"i1 running t1RUNNING: ",
		"i2 pending t2PENDING: ",
		"i3 outdated t3RUNNING: Waiting for the rollout: at most 1 instance may be without a running task.",
		"i4 failed : Backing off after a failure: RESOURCE:CPU (too little CPU)",
		"i5 missing : The instance has no task of the deployment.",
		"i6 excluded t6RUNNING: blox: the instance does not match environment logs",
		"i7 excluded : The instance is DRAINING.",
		"i8 missing : The ECS agent on this instance is disconnected.",
	}, got)
	assert.Equal(t, 3, InstanceStatuses(s)[3].Attempts)
	assert.Equal(t, now.Add(time.Minute), InstanceStatuses(s)[3].NextAttemptAt)
	assert.Equal(t, environment.InstanceExcluded, InstanceStatuses(row{noneYet: true}.state())[0].Phase)
	assert.Equal(t, "Nothing is deployed.", InstanceStatuses(row{noneYet: true}.state())[0].Reason)
}

func TestForesee(t *testing.T) {
	waiting := launch(environment.LaunchFailed, time.Minute, because("AGENT", time.Minute))
	waiting.Instance, waiting.HadNoTask = "i4", true
	s := row{
		instances: []environment.Instance{active("i1"), active("i2"), active("i3"), active("i4")},
		tasks: []environment.Task{
			task("t1", earlier, "RUNNING"), at("i2", task("t2", current, "PENDING")), at("i1", with(task("t0", current, "RUNNING"), stopping)),
		},
		launches: []environment.Launch{waiting, launch(environment.LaunchStarted, time.Hour, of(earlier), named("t1"))},
	}.state()
	before := len(s.Tasks)
	var got []string
	for _, step := range DryRun(s) {
		got = append(got, fmt.Sprintf("%d %s %s%s: %s", step.Wave, step.Action, step.Instance, step.Task, step.Reason))
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

	assert.Empty(t, DryRun(row{tasks: []environment.Task{task("t1", current, "RUNNING")}}.state()))
	paused := row{}.state()
	paused.Environment.Paused = true
	assert.Equal(t, []environment.Step{{Wave: 1, Action: "wait", Instance: "i1", Reason: "The environment is paused."}}, DryRun(paused))
	assert.Equal(t, "The cluster state is not up to date.", DryRun(row{stale: true}.state())[0].Reason)
}
