package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestSummary_ShowsPhaseAndReason(t *testing.T) {
	failing := launch(environment.LaunchFailed, time.Minute, because("RESOURCE:CPU", time.Minute), attempt(3))
	failing.Instance, failing.Detail = "i4", "too little CPU"
	s := only(scenario{
		instances: []environment.Instance{
			in(
				"a",
				active("i1"),
			),
			in("a", active("i2")),
			in("a", active("i3")),
			in("a", active("i4")),
			in("a", active("i5")),
			in("b", active("i6")),
			in(
				"a",
				environment.Instance{ARN: "i7", Status: "DRAINING", AgentConnected: true},
			),
			in("a", environment.Instance{ARN: "i8", Status: "ACTIVE"}),
			in("a", environment.Instance{ARN: "i9", Status: "INACTIVE"}),
		},
		tasks: []environment.Task{
			task("t1", current, "RUNNING"), at("i2", task("t2", current, "PENDING")), at("i3", task("t3", earlier, "RUNNING")),
			at("i6", task("t6", current, "RUNNING")), at("i1", task("x", foreign, "RUNNING")),
		},
		launches: []environment.Launch{failing},
	}, "attribute:zone == a")
	var got []string
	for _, p := range Summarize(s).Instances {
		got = append(got, fmt.Sprintf("%s %s %s%s: %s", p.Instance.ARN, p.Phase, p.Task, p.TaskStatus, p.Reason))
	}
	assert.Equal(t, []string{
		"i1 running t1RUNNING: ",
		"i2 pending t2PENDING: The task has been PENDING since 2026-01-02T02:54:05Z.",
		"i3 outdated t3RUNNING: Waiting for the rollout: at most 1 instance may be without a running task.",
		"i4 failed : Backing off after a failure: RESOURCE:CPU (too little CPU)",
		"i5 missing : The instance has no task of the deployment.",
		"i6 excluded t6RUNNING: blox: the instance does not match environment logs",
		"i7 excluded : The instance is DRAINING.",
		"i8 missing : The ECS agent on this instance is disconnected.",
	}, got)
	assert.Equal(t, 3, Summarize(s).Instances[3].Attempts)
	assert.Equal(t, now.Add(time.Minute), Summarize(s).Instances[3].NextAttemptAt)
	assert.Equal(t, environment.InstanceExcluded, Summarize(scenario{notDeployed: true}.state()).Instances[0].Phase)
	assert.Equal(t, "Nothing is deployed.", Summarize(scenario{notDeployed: true}.state()).Instances[0].Reason)
}

// At rest, time alone still changes which instances are desired.
func TestSummary_ChangesWhenALostInstanceIsNoLongerWaitedFor(t *testing.T) {
	s := scenario{
		status: environment.Completed, instances: []environment.Instance{active("i1"), lost},
		tasks: []environment.Task{task("t1", current, "RUNNING"), at("i2", task("t2", current, "RUNNING"))},
	}.state()
	s.DisconnectedSince = map[string]time.Time{"i2": now.Add(-time.Minute)}
	summary := Summarize(s)
	assert.Equal(t, 2, summary.Counts.Desired)
	assert.Equal(t, now.Add(9*time.Minute), summary.ChangesAt)
	s.Now = summary.ChangesAt
	summary = Summarize(s)
	assert.Equal(t, 1, summary.Counts.Desired)
	assert.Zero(t, summary.ChangesAt)
}
