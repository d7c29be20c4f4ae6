package clusterstate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestAvailabilityTracker_MeasuresByItsOwnClock(t *testing.T) {
	e := environment.New("logs", "arn:cluster", "agent:1", "")
	e.Deployments["d"] = environment.Deployment{ID: "d", CheckedContainers: []string{"app"}}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var tracker AvailabilityTracker
	observe := func(minute int, status string, health environment.HealthStatus) environment.Availability {
		task := environment.Task{
			ARN: "t", LastStatus: status, HealthChecked: true, Health: health, StartedAt: at.Add(time.Hour), // another clock
		}
		now := at.Add(time.Duration(minute) * time.Minute)
		return tracker.Observe(e, []environment.Task{task}, now)["t"]
	}
	minute := func(n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }
	assert.Zero(t, observe(0, "PENDING", ""))
	assert.Equal(t, environment.Availability{Since: minute(1)}, observe(1, "RUNNING", ""))
	assert.Equal(t, environment.Availability{Since: minute(1)}, observe(2, "RUNNING", environment.HealthUnknown))
	healthy := environment.Availability{Available: true, Since: minute(3)}
	assert.Equal(t, healthy, observe(3, "RUNNING", environment.HealthHealthy))
	assert.Equal(t, healthy, observe(4, "RUNNING", environment.HealthHealthy))
	unhealthy := environment.Availability{Since: minute(9), AvailableFor: 6 * time.Minute}
	assert.Equal(t, unhealthy, observe(9, "RUNNING", environment.HealthUnhealthy))
	assert.Equal(t, unhealthy, observe(10, "RUNNING", environment.HealthUnhealthy))
	assert.Zero(t, observe(11, "STOPPED", ""))

	tracker.Forget("logs")
	assert.Empty(t, tracker.byEnvironment)
	observe(12, "RUNNING", "")
	e.Deployments["d"] = environment.Deployment{ID: "d", Status: environment.Running}
	assert.Equal(t, environment.Availability{Available: true, Since: minute(14)},
		observe(14, "RUNNING", environment.HealthHealthy), "a rollout depends on it")
	e.Deployments["d"] = environment.Deployment{ID: "d", Status: environment.Completed}
	assert.Zero(t, observe(15, "RUNNING", ""), "nothing is measured where it does not matter")
	assert.Empty(t, tracker.byEnvironment)
}

// The status observes an environment only while it is read; the leader does always.
func TestAvailabilityTracker_ExtendsLaterObservations(t *testing.T) {
	e := environment.New("logs", "arn:cluster", "agent:1", "")
	e.Deployments["d"] = environment.Deployment{ID: "d", Status: environment.Running}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	running := func(arns ...string) (tasks []environment.Task) {
		for _, arn := range arns {
			tasks = append(tasks, environment.Task{ARN: arn, LastStatus: "RUNNING"})
		}
		return tasks
	}
	var leader, status AvailabilityTracker
	leader.Observe(e, running("a"), at)
	later := status.Observe(e, running("a", "b"), at.Add(time.Minute))
	assert.Equal(t, map[string]environment.Availability{
		"a": {Available: true, Since: at}, "b": {Available: true, Since: at.Add(time.Minute)},
	}, leader.Extend("logs", later))
	assert.Equal(t, at.Add(time.Minute), later["a"].Since, "the observation stays")
	assert.Equal(t, later, leader.Extend("other", later))
	assert.Equal(t, later, (*AvailabilityTracker)(nil).Extend("logs", later), "this process does not lead")

	unhealthy := map[string]environment.Availability{"a": {Since: at.Add(time.Minute)}}
	assert.Equal(t, unhealthy, leader.Extend("logs", unhealthy), "the leader has not seen it become UNHEALTHY yet")
}
