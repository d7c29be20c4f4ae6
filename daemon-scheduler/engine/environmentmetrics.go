package engine

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

var (
	instancesDescription = prometheus.NewDesc("blox_ds_environment_instances",
		"Instances by state: desired, available, updated, outdated, unreachable, misscheduled, failed or, in a canary, "+
			"unready. An instance may have several. Only the leader reports it.",
		append(environment.MetricLabels(), "state"), nil)
	missingDescription = prometheus.NewDesc("blox_ds_daemons_missing",
		"Instances that lack a RUNNING task of the environment's deployment; only the leader reports it.",
		environment.MetricLabels(), nil)
	duplicateDescription = prometheus.NewDesc("blox_ds_daemons_duplicate",
		"Surplus live tasks of the deployment, beyond the first on each instance; only the leader reports it.",
		environment.MetricLabels(), nil)
)

// environmentMetrics has the numbers of each environment's last plan. An environment that is deleted and created again
// in another cluster has one series, of the second.
type environmentMetrics struct {
	mu     sync.Mutex
	byName map[string]environmentNumbers
}

// environmentNumbers are the numbers of a plan.
type environmentNumbers struct {
	labels             []string // values of environment.MetricLabels
	missing, duplicate int
	instances          map[string]int // by state
}

func newEnvironmentMetrics(registerer prometheus.Registerer) *environmentMetrics {
	m := &environmentMetrics{byName: map[string]environmentNumbers{}}
	registerer.MustRegister(m)
	return m
}

// update shows the numbers of a plan that was made with a fresh cluster state.
func (m *environmentMetrics) update(e environment.Environment, plan planner.Plan) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byName[e.Name] = environmentNumbers{
		labels: e.MetricLabelValues(), missing: plan.Missing, duplicate: plan.Duplicates,
		instances: map[string]int{
			"desired": plan.Counts.Desired, "available": plan.Counts.Available, "updated": plan.Counts.Updated(),
			"outdated": plan.Counts.Outdated, "unreachable": plan.Counts.Unreachable,
			"misscheduled": plan.Counts.Misscheduled, "failed": plan.Counts.Failed,
			"unready": plan.Unready,
		},
	}
}

// forget removes the numbers of an environment that was deleted.
func (m *environmentMetrics) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byName, name)
}

// reset removes the numbers of all environments.
func (m *environmentMetrics) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.byName)
}

// Describe implements prometheus.Collector.
func (*environmentMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{instancesDescription, missingDescription, duplicateDescription} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (m *environmentMetrics) Collect(metrics chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, numbers := range m.byName {
		gauge := func(d *prometheus.Desc, value int, labels ...string) {
			labels = append(numbers.labels[:len(numbers.labels):len(numbers.labels)], labels...)
			metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
		}
		gauge(missingDescription, numbers.missing)
		gauge(duplicateDescription, numbers.duplicate)
		for state, n := range numbers.instances {
			gauge(instancesDescription, n, state)
		}
	}
}
