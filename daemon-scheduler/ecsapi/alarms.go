package ecsapi

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/blox/blox/internal/ratelimit"
)

// MaxAlarmsPerCall is the number of names that CloudWatch accepts in one DescribeAlarms.
const MaxAlarmsPerCall = 100

// AlarmStates are the states of alarms by name. CloudWatch does not know alarms that are missing.
type AlarmStates map[string]types.StateValue

// Alarms reads the states of CloudWatch's alarms. Every attempt of a call takes a token.
type Alarms struct{ cloudwatch *cloudwatch.Client }

// NewAlarms returns Alarms that calls CloudWatch through client.
func NewAlarms(client *cloudwatch.Client, limits ratelimit.CloudWatch) *Alarms {
	return &Alarms{cloudwatch.New(client.Options(), limits.Option)}
}

// States returns the states of metric alarms and composite alarms, as many in a call as CloudWatch accepts.
func (a *Alarms) States(ctx context.Context, names []string) (AlarmStates, error) {
	states := AlarmStates{}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for chunk := range slices.Chunk(names, MaxAlarmsPerCall) {
		pages := cloudwatch.NewDescribeAlarmsPaginator(a.cloudwatch, &cloudwatch.DescribeAlarmsInput{
			AlarmNames: chunk, MaxRecords: aws.Int32(MaxAlarmsPerCall),
			// Without types, CloudWatch returns metric alarms alone.
			AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, alarm := range page.MetricAlarms {
				states[aws.ToString(alarm.AlarmName)] = alarm.StateValue
			}
			for _, alarm := range page.CompositeAlarms {
				states[aws.ToString(alarm.AlarmName)] = alarm.StateValue
			}
		}
	}
	return states, nil
}
