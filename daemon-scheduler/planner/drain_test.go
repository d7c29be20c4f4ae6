package planner

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestDrain_StopsDaemonsInTheirOrder(t *testing.T) {
	r := scenario{instances: on("DRAINING", "i1"), tasks: []environment.Task{
		task(
			"t1",
			current,
			"RUNNING",
		),
		task("t2", "first-out", "RUNNING"),
		task("t3", "last-out", "RUNNING"),
		task("t4", "", "STOPPED"),
	}}
	s := r.state()
	s.Environment.Revisions = []environment.Revision{
		{Number: 1, Spec: environment.Spec{TaskDefinition: agent2, DrainOrder: 5}},
	}
	s.DrainOrders = map[string]int{current: 5, "first-out": 4, "last-out": 6}
	plan := Make(s)
	assert.Empty(t, plan.Actions)
	assert.Equal(
		t,
		[]Wait{{"i1", "The instance is draining; daemons with a lower drain order still run on it."}},
		plan.Waits,
	)
	s.Tasks[1].LastStatus = "STOPPED"
	assert.Equal(t, []string{"stop t1: blox: the instance is draining, environment logs"}, texts(Make(s).Actions))
	s.DrainOrders = nil
	assert.Empty(t, Make(s).Actions, "who is a daemon is not known")
}

// Tasks whose deployments have all ended must not block a drain for ever.
func TestDrain_StopsTasksWithoutACurrentDeployment(t *testing.T) {
	s := scenario{instances: on("DRAINING", "i1"), tasks: []environment.Task{task("t1", current, "RUNNING")}}.state()
	for id, d := range s.Environment.Deployments {
		d.Status, d.RolloutState = environment.Completed, environment.RolloutStopped
		s.Environment.Deployments[id] = d
	}
	assert.Equal(t, []string{"stop t1: blox: the instance is draining, environment logs"}, texts(Make(s).Actions))
	s.Instances = []environment.Instance{active("i1")}
	assert.Empty(t, Make(s).Actions, "elsewhere it stays")
}
