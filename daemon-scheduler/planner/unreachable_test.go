package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

var lost = environment.Instance{ARN: "i2", Status: "ACTIVE"} // its agent is disconnected

func TestProgress_ALostAgentDelaysCompletionForTenMinutes(t *testing.T) {
	s := scenario{
		status: environment.Running, instances: []environment.Instance{active("i1"), lost},
		tasks: []environment.Task{task("t1", current, "RUNNING"), at("i2", task("t2", earlier, "RUNNING"))},
	}.state()
	s.DisconnectedSince = map[string]time.Time{"i2": now.Add(-5 * time.Second)}
	plan := Make(s)
	assert.Equal(t, environment.Running, plan.Progress.Status, "the old task is in place")
	assert.Equal(t, 2, plan.Progress.Desired)
	assert.Equal(t, now.Add(10*time.Minute-5*time.Second), plan.RequeueAt)

	s.Now = plan.RequeueAt
	plan = Make(s)
	assert.Equal(t, environment.Completed, plan.Progress.Status, "a dead instance does not block for ever")
	assert.Equal(t, 1, plan.Progress.Desired)

	s.Now, s.DisconnectedSince = now, nil
	assert.Equal(t, environment.Running, Make(s).Progress.Status, "a loss of unknown age is a new one")
}

// The last state of a task on an unreachable instance proves nothing: its agent may have been lost because of it.
func TestProgress_ATaskOnALostInstanceIsNotShown(t *testing.T) {
	s := scenario{
		status: environment.Running, instances: []environment.Instance{active("i1"), lost},
		tasks: []environment.Task{task("t1", current, "RUNNING"), at("i2", task("t2", current, "RUNNING"))},
	}.state()
	s.DisconnectedSince = map[string]time.Time{"i2": now}
	assert.Equal(t, environment.Running, Make(s).Progress.Status)
	s.Instances[1].AgentConnected = true
	assert.Equal(t, environment.Completed, Make(s).Progress.Status)
}

func TestProgress_AFailedStartOnALostInstanceIsAnOutcome(t *testing.T) {
	l := launch(environment.LaunchFailed, time.Minute, because("AGENT", time.Minute))
	l.Instance = "i2"
	s := scenario{
		status: environment.Running, instances: []environment.Instance{active("i1"), lost},
		tasks: []environment.Task{task("t1", current, "RUNNING")}, launches: []environment.Launch{l},
	}.state()
	s.DisconnectedSince = map[string]time.Time{"i2": now}
	assert.Equal(t, environment.Completed, Make(s).Progress.Status)
}

// Only a cluster without instances has nothing to show.
func TestProgress_CompletesWithoutATaskOnlyIfNoInstanceIsRegistered(t *testing.T) {
	for name, tc := range map[string]struct {
		instances []environment.Instance
		want      environment.Status
	}{
		"no instance":                {[]environment.Instance{}, environment.Completed},
		"an instance that left":      {on("INACTIVE", "i2"), environment.Completed},
		"an instance that leaves":    {on("DEREGISTERING", "i2"), environment.Completed},
		"all agents are away":        {[]environment.Instance{lost}, environment.Running},
		"an instance that drains":    {on("DRAINING", "i2"), environment.Running},
		"an instance that registers": {on("REGISTERING", "i2"), environment.Running},
	} {
		t.Run(name, func(t *testing.T) {
			s := scenario{status: environment.Running, instances: tc.instances}.state()
			s.DisconnectedSince = map[string]time.Time{"i2": now.Add(-time.Hour)}
			assert.Equal(t, tc.want, Make(s).Progress.Status)
		})
	}
}

func TestProgress_AtRestALostAgentChangesNothing(t *testing.T) {
	s := scenario{
		status: environment.Completed, instances: []environment.Instance{lost},
		tasks: []environment.Task{at("i2", task("t2", current, "RUNNING"))},
	}.state()
	s.DisconnectedSince = map[string]time.Time{"i2": now}
	plan := Make(s)
	assert.Zero(t, plan.RequeueAt)
	assert.Empty(t, plan.Actions)
	assert.Equal(t, environment.Healthy, plan.Progress.Health)
}
