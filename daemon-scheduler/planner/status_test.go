package planner

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestInstanceStatuses_ShowPhaseAndReason(t *testing.T) {
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
	assert.Equal(t, environment.InstanceExcluded, InstanceStatuses(scenario{notDeployed: true}.state())[0].Phase)
	assert.Equal(t, "Nothing is deployed.", InstanceStatuses(scenario{notDeployed: true}.state())[0].Reason)
}
