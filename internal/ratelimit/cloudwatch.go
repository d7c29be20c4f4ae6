package ratelimit

import (
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/prometheus/client_golang/prometheus"
)

// DescribeAlarms is the bucket of CloudWatch's DescribeAlarms. Source: "CloudWatch service quotas" in the Amazon
// CloudWatch User Guide, which publishes the rate alone.
var DescribeAlarms = Bucket{9, 9}

// CloudWatch holds the limiter of DescribeAlarms, the only action of CloudWatch that Blox uses.
type CloudWatch struct{ DescribeAlarms *Limiter }

// Option makes a client take a token for every attempt of a call, the SDK's retries included.
func (c CloudWatch) Option(o *cloudwatch.Options) {
	o.APIOptions = append(o.APIOptions, limitAttempts(func(string) *Limiter { return c.DescribeAlarms }))
}

var (
	alarmRateDescription = prometheus.NewDesc("cloudwatch_api_rate_limit",
		"Calls of DescribeAlarms a second that the service allows itself.", nil, nil)
	alarmsThrottledDescription = prometheus.NewDesc("cloudwatch_api_throttled_total",
		"Total number of calls of DescribeAlarms that CloudWatch throttled.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c CloudWatch) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- alarmRateDescription
	descriptions <- alarmsThrottledDescription
}

// Collect implements prometheus.Collector.
func (c CloudWatch) Collect(metrics chan<- prometheus.Metric) {
	rate, throttled := c.DescribeAlarms.state()
	metrics <- prometheus.MustNewConstMetric(alarmRateDescription, prometheus.GaugeValue, rate)
	metrics <- prometheus.MustNewConstMetric(alarmsThrottledDescription, prometheus.CounterValue, float64(throttled))
}
