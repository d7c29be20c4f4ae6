package ratelimit

import "github.com/prometheus/client_golang/prometheus"

var (
	rateDescription = prometheus.NewDesc("ecs_api_rate_limit",
		"Calls a second that the service allows itself of each token bucket of ECS.", []string{"bucket"}, nil)
	throttledDescription = prometheus.NewDesc("ecs_api_throttled_total",
		"Total number of calls that ECS throttled, by token bucket.", []string{"bucket"}, nil)
)

// Describe implements prometheus.Collector.
func (e ECS) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- rateDescription
	descriptions <- throttledDescription
}

// Collect implements prometheus.Collector.
func (e ECS) Collect(metrics chan<- prometheus.Metric) {
	for bucket, limiter := range map[string]*Limiter{
		"cluster-reads": e.ClusterReads, "resource-reads": e.ResourceReads,
		"task-definition-reads": e.TaskDefinitionReads, "modifications": e.Modifications,
	} {
		if limiter == nil {
			continue
		}
		rate, throttled := limiter.state()
		metrics <- prometheus.MustNewConstMetric(rateDescription, prometheus.GaugeValue, rate, bucket)
		metrics <- prometheus.MustNewConstMetric(throttledDescription, prometheus.CounterValue, float64(throttled), bucket)
	}
}
