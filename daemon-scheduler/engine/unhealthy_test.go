package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestConditions_ShowSinceWhenTasksAreUnhealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{}
		checked := func(arn string, health environment.HealthStatus) environment.Task {
			task := running(arn, "i-"+arn, "d")
			task.HealthChecked, task.Health, task.HealthReason = true, health, "Container app is "+string(health)+"."
			return task
		}
		observe := func(tasks ...environment.Task) []environment.Condition {
			e.observeUnhealthy("logs", tasks, true)
			return e.Conditions("logs")
		}
		began := time.Now()
		shown := observe(checked("b", environment.HealthUnhealthy), checked("a", environment.HealthHealthy))
		require.Len(t, shown, 1)
		assert.Equal(t, environment.Condition{
			Type: environment.ConditionTasksUnhealthy, Status: environment.ConditionTrue, Reason: reasonHealthCheckFailed,
			Message: "1 task is UNHEALTHY. First: i-b: Container app is UNHEALTHY.", LastTransitionTime: began.UTC().Round(0),
		}, shown[0])

		time.Sleep(time.Minute)
		shown = observe(checked("b", environment.HealthUnhealthy), checked("a", environment.HealthUnhealthy))
		assert.Equal(t, "2 tasks are UNHEALTHY. First: i-a: Container app is UNHEALTHY.", shown[0].Message)
		assert.True(t, began.Equal(shown[0].LastTransitionTime))
		shown = observe(checked("b", environment.HealthHealthy), checked("a", environment.HealthUnhealthy))
		assert.True(t, began.Equal(shown[0].LastTransitionTime), "it has held all the time")

		e.observeUnhealthy("logs", nil, false)
		assert.Len(t, e.Conditions("logs"), 1, "an old cluster state shows nothing")

		stopped := checked("a", environment.HealthUnhealthy)
		stopped.LastStatus = "STOPPED"
		assert.Empty(t, observe(stopped))
		time.Sleep(time.Minute)
		shown = observe(checked("a", environment.HealthUnhealthy))
		assert.True(t, time.Now().Equal(shown[0].LastTransitionTime))
	})
}
