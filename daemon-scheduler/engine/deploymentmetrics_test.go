package engine

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Each deployment is counted once. Those of an earlier term are not counted again.
func TestDeploymentMetrics_CountEachEndOnce(t *testing.T) {
	now := time.Now()
	ended := func(id string, state environment.RolloutState) environment.Deployment {
		return environment.Deployment{
			ID: id, Status: environment.Completed, RolloutState: state,
			StartTime: now, RolloutStartedAt: now.Add(time.Second), EndTime: now.Add(time.Minute),
		}
	}
	env := environment.Environment{Name: "logs", Deployments: map[string]environment.Deployment{
		"earlier": ended("earlier", environment.RolloutCompleted),
		"current": {ID: "current", Status: environment.Running},
	}}
	registry := prometheus.NewRegistry()
	m, tracker := newDeploymentMetrics(registry), &deploymentTracker{}
	update := func() { m.observe(tracker.update(env)) }
	counts := func() map[string]float64 {
		byOutcome := map[string]float64{}
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() == "blox_ds_deployments_total" {
				for _, series := range family.GetMetric() {
					byOutcome[series.GetLabel()[0].GetValue()] = series.GetCounter().GetValue()
				}
			}
		}
		return byOutcome
	}

	update()
	assert.Zero(t, counts()["completed"], "it ended in an earlier term")
	env.Deployments["current"] = ended("current", environment.RolloutFailed)
	update()
	update()
	assert.Equal(t, 1.0, counts()["failed"])
	env.Deployments["next"] = ended("next", environment.RolloutStopped)
	delete(env.Deployments, "earlier")
	update()
	assert.Equal(t, map[string]float64{"completed": 0, "failed": 1, "stopped": 1}, counts())
	tracker.forget("logs")
	assert.Empty(t, tracker.ended)
}
