package engine

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// shownMissing returns the values of blox_ds_daemons_missing by the values of their labels, which are in alphabetical
// order: account, cluster, environment, region.
func shownMissing(t *testing.T, registry *prometheus.Registry) map[[4]string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	shown := map[[4]string]float64{}
	for _, family := range families {
		if family.GetName() != "blox_ds_daemons_missing" {
			continue
		}
		for _, series := range family.GetMetric() {
			require.Len(t, series.GetLabel(), 4)
			var labels [4]string
			for i, label := range series.GetLabel() {
				labels[i] = label.GetValue()
			}
			shown[labels] = series.GetGauge().GetValue()
		}
	}
	return shown
}

// Environments of several accounts and regions are summed up by their labels.
func TestEnvironmentMetrics_NameClusterAccountAndRegion(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newEnvironmentMetrics(registry)
	logs := environment.New("logs", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod", "arn:td:1", "")
	m.update(logs, planner.Plan{Missing: 1})
	m.update(environment.New("old", "malformed", "arn:td:1", ""), planner.Plan{Missing: 2})
	assert.Equal(t, map[[4]string]float64{
		{"123456789012", "prod", "logs", "eu-west-1"}: 1,
		{"", "malformed", "old", ""}:                  2,
	}, shownMissing(t, registry))

	logs.Cluster = "arn:aws:ecs:us-east-1:210987654321:cluster/prod"
	m.update(logs, planner.Plan{Missing: 3})
	m.forget("old")
	assert.Equal(t, map[[4]string]float64{{"210987654321", "prod", "logs", "us-east-1"}: 3}, shownMissing(t, registry),
		"it was created again in another region")
	m.reset()
	assert.Empty(t, shownMissing(t, registry))
}
