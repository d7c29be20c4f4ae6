package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestCounts_AreThoseOfInstances(t *testing.T) {
	inZone := func(zone, arn string) environment.Instance { return in(zone, active(arn)) }
	s := only(scenario{
		instances: []environment.Instance{
			inZone("a", "i1"), inZone("a", "i2"), inZone("a", "i3"), inZone("a", "i4"), inZone("b", "i5"), inZone("b", "i6"),
			in("a", environment.Instance{ARN: "i7", Status: "ACTIVE"}),
			in("a", environment.Instance{ARN: "i8", Status: "DRAINING"}),
		},
		tasks: []environment.Task{
			task("new on i1", current, "RUNNING"), at("i2", task("new on i2", current, "PENDING")),
			at("i3", task("old on i3", earlier, "RUNNING")), at("i5", task("new on i5", current, "RUNNING")),
			at("i7", task("old on i7", earlier, "RUNNING")), at("i8", task("old on i8", earlier, "RUNNING")),
			at("i6", task("foreign", foreign, "RUNNING")), at("i1", task("second on i1", current, "RUNNING")),
		},
	}, "attribute:zone == a")
	s.DisconnectedSince = map[string]time.Time{"i7": now}
	plan := Make(s)
	assert.Equal(t, environment.Counts{
		Desired: 5, Running: 1, Pending: 1, Outdated: 3, Available: 4, Unreachable: 1, Misscheduled: 1,
	}, plan.Counts)
	assert.Equal(t, 2, plan.Counts.Updated())
	assert.Equal(t, 4, plan.Missing, "i2 to i4 and i7")
	assert.Equal(t, 1, plan.Duplicates)

	nothing := Make(scenario{notDeployed: true, instances: []environment.Instance{active("i1"), lost}}.state())
	assert.Zero(t, nothing.Counts)
	assert.Zero(t, nothing.Missing)
}

// A deployment that failed is not the target, although it is the newest. Nothing is missing while the one before it
// runs.
func TestCounts_MissTheTargetAfterAFailure(t *testing.T) {
	s := scenario{
		instances: []environment.Instance{active("i1"), active("i2")},
		tasks:     []environment.Task{task("old on i1", earlier, "RUNNING"), at("i2", task("old on i2", earlier, "PENDING"))},
	}.state()
	failed := s.Environment.Deployments[current]
	failed.Status, failed.RolloutState = environment.Completed, environment.RolloutFailed
	s.Environment.Deployments[current] = failed
	plan := Make(s)
	assert.Equal(t, earlier, plan.Deployment)
	assert.Equal(t, 1, plan.Missing, "the PENDING one")
	assert.Zero(t, plan.Counts.Outdated)
}
