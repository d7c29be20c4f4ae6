package ratelimit

import (
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
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

const (
	alarmRateHelp       = "Calls of DescribeAlarms a second that the service allows itself."
	alarmsThrottledHelp = "Calls of DescribeAlarms that CloudWatch throttled."
)
