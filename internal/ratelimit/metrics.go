package ratelimit

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	rateHelp      = "Calls a second that the service allows itself of each token bucket of ECS."
	throttledHelp = "Calls that ECS throttled, by token bucket."
)

var (
	rateDescription      = prometheus.NewDesc("ecs_api_rate_limit", rateHelp, []string{"bucket"}, nil)
	throttledDescription = prometheus.NewDesc("ecs_api_throttled_total", throttledHelp, []string{"bucket"}, nil)
)

// byBucket returns the limiters by the names of their buckets.
func (e ECS) byBucket() map[string]*Limiter {
	limiters := map[string]*Limiter{
		"cluster-reads": e.ClusterReads, "resource-reads": e.ResourceReads,
		"task-definition-reads": e.TaskDefinitionReads, "modifications": e.Modifications,
	}
	maps.DeleteFunc(limiters, func(_ string, limiter *Limiter) bool { return limiter == nil })
	return limiters
}

// Describe implements prometheus.Collector.
func (e ECS) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- rateDescription
	descriptions <- throttledDescription
}

// Collect implements prometheus.Collector.
func (e ECS) Collect(metrics chan<- prometheus.Metric) {
	for bucket, limiter := range e.byBucket() {
		rate, throttled := limiter.state()
		metrics <- prometheus.MustNewConstMetric(rateDescription, prometheus.GaugeValue, rate, bucket)
		metrics <- prometheus.MustNewConstMetric(throttledDescription, prometheus.CounterValue, float64(throttled), bucket)
	}
}
