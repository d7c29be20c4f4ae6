package ratelimit

import "github.com/prometheus/client_golang/prometheus"

// Place is an account and a region: AWS has token buckets for each. The account is empty while it is unknown.
type Place struct{ Account, Region string }

// Limits are the limits of the calls in one place.
type Limits struct {
	ECS    ECS
	Alarms CloudWatch
}

// Collector returns the metrics of the limits that places returns, with labels for the account and the region.
func Collector(places func() map[Place]Limits) prometheus.Collector { return placesCollector(places) }

type placesCollector func() map[Place]Limits

var (
	placeLabels  = []string{"account", "region"}
	bucketLabels = []string{"account", "region", "bucket"}

	placeRate            = prometheus.NewDesc("ecs_api_rate_limit", rateHelp, bucketLabels, nil)
	placeThrottled       = prometheus.NewDesc("ecs_api_throttled_total", throttledHelp, bucketLabels, nil)
	placeAlarmRate       = prometheus.NewDesc("cloudwatch_api_rate_limit", alarmRateHelp, placeLabels, nil)
	placeAlarmsThrottled = prometheus.NewDesc("cloudwatch_api_throttled_total", alarmsThrottledHelp, placeLabels, nil)
)

// Describe implements prometheus.Collector.
func (c placesCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- placeRate
	descriptions <- placeThrottled
	descriptions <- placeAlarmRate
	descriptions <- placeAlarmsThrottled
}

// Collect implements prometheus.Collector.
func (c placesCollector) Collect(metrics chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, of prometheus.ValueType, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, of, value, labels...)
	}
	for place, limits := range c() {
		for bucket, limiter := range limits.ECS.byBucket() {
			rate, throttled := limiter.state()
			send(placeRate, prometheus.GaugeValue, rate, place.Account, place.Region, bucket)
			send(placeThrottled, prometheus.CounterValue, float64(throttled), place.Account, place.Region, bucket)
		}
		if limits.Alarms.DescribeAlarms != nil {
			rate, throttled := limits.Alarms.DescribeAlarms.state()
			send(placeAlarmRate, prometheus.GaugeValue, rate, place.Account, place.Region)
			send(placeAlarmsThrottled, prometheus.CounterValue, float64(throttled), place.Account, place.Region)
		}
	}
}
