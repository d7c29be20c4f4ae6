package status

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Every replica reports all environments, so that the metrics outlive a change of the leader.
var (
	healthyDescription = prometheus.NewDesc("blox_ds_environment_healthy",
		"1 if the environment is healthy, else 0. Every replica reports all environments.",
		environment.MetricLabels(), nil)
	phaseDescription = prometheus.NewDesc("blox_ds_environment_phase",
		"1 for the environment's phase: inactive, active, deploying, paused or deleting. Every replica reports all "+
			"environments.", append(environment.MetricLabels(), "phase"), nil)
	conditionDescription = prometheus.NewDesc("blox_ds_environment_condition_active",
		"1 for each condition that holds for the environment, by type. Every replica reports all environments.",
		append(environment.MetricLabels(), "type"), nil)
	conditionsDescription = prometheus.NewDesc("blox_ds_environment_conditions",
		"Environments for which the condition holds, by type. Every replica reports all environments.",
		[]string{"type"}, nil)
	deploymentDescription = prometheus.NewDesc("blox_ds_deployment_phase_start_timestamp_seconds",
		"Unix time at which the deployment in progress entered its phase: pending, canary (it waits for its promotion), "+
			"rollout or bake. A rollout counts from before its canary. Every replica reports all environments.",
		append(environment.MetricLabels(), "phase"), nil)
)

// collector describes the environments when metrics are read.
type collector struct{ status *Status }

// Describe implements prometheus.Collector.
func (collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		healthyDescription, phaseDescription, conditionDescription, conditionsDescription, deploymentDescription,
	} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(metrics chan<- prometheus.Metric) {
	count := map[environment.ConditionType]int{}
	for _, conditionType := range environment.ConditionTypes {
		count[conditionType] = 0
	}
	for _, name := range c.status.Cache.Names() {
		e, err := c.status.Cache.Record(name)
		if err != nil { // it was deleted, or is malformed
			continue
		}
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			labels = append(e.MetricLabelValues(), labels...)
			metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
		}
		gauge(healthyDescription, healthValue(e.Health))
		gauge(phaseDescription, 1, string(e.Phase()))
		if d, ok := e.InProgress(); ok {
			phase, since := e.DeploymentPhase(d)
			gauge(deploymentDescription, float64(since.UnixMilli())/1000, string(phase))
		}
		conditions, _ := c.status.conditions(e)
		for _, condition := range conditions {
			count[condition.Type]++
			gauge(conditionDescription, 1, string(condition.Type))
		}
	}
	for conditionType, environments := range count {
		metrics <- prometheus.MustNewConstMetric(
			conditionsDescription, prometheus.GaugeValue, float64(environments), string(conditionType))
	}
}

func healthValue(h environment.Health) float64 {
	if h == environment.Healthy {
		return 1
	}
	return 0
}
