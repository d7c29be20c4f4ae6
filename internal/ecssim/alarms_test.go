package ecssim

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (w *fixture) cloudWatch() *cloudwatch.Client {
	return cloudwatch.New(cloudwatch.Options{
		Region: w.cfg.Region, BaseEndpoint: &w.url, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
	})
}

var everyType = []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}

// A client that omits AlarmTypes sees no composite alarms, and one that omits MaxRecords at most 50 alarms.
func TestDescribeAlarms_ReturnsStatesAsCloudWatchDoes(t *testing.T) {
	w := newFixture(t, Config{})
	client := w.cloudWatch()
	before := time.Now().Add(-time.Second)
	require.NoError(t, w.PutAlarm("errors", "ALARM", ""))
	require.NoError(t, w.PutAlarm("service", "INSUFFICIENT_DATA", "CompositeAlarm"))

	out, err := client.DescribeAlarms(w.ctx, &cloudwatch.DescribeAlarmsInput{
		AlarmNames: []string{"errors", "service", "absent"}, AlarmTypes: everyType,
	})
	require.NoError(t, err)
	require.Len(t, out.MetricAlarms, 1)
	require.Len(t, out.CompositeAlarms, 1)
	assert.Nil(t, out.NextToken)
	assert.Equal(t, "errors", *out.MetricAlarms[0].AlarmName)
	assert.Equal(t, "arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors", *out.MetricAlarms[0].AlarmArn)
	assert.Equal(t, types.StateValueAlarm, out.MetricAlarms[0].StateValue)
	assert.True(t, out.MetricAlarms[0].StateUpdatedTimestamp.After(before))
	assert.Equal(t, types.StateValueInsufficientData, out.CompositeAlarms[0].StateValue)

	out, err = client.DescribeAlarms(w.ctx, &cloudwatch.DescribeAlarmsInput{})
	require.NoError(t, err)
	assert.Empty(t, out.CompositeAlarms)
	assert.Len(t, out.MetricAlarms, 1)

	for n := range 60 {
		require.NoError(t, w.PutAlarm(fmt.Sprintf("many-%02d", n), "", ""))
	}
	seen := 0
	for token := (*string)(nil); ; token = out.NextToken {
		out, err = client.DescribeAlarms(w.ctx, &cloudwatch.DescribeAlarmsInput{
			AlarmNamePrefix: aws.String("many"), NextToken: token,
		})
		require.NoError(t, err)
		seen += len(out.MetricAlarms)
		if out.NextToken == nil {
			break
		}
	}
	assert.Equal(t, 60, seen)
	assert.Equal(t, 4, w.Calls("DescribeAlarms"))
}

func TestDescribeAlarms_RejectsInvalidRequests(t *testing.T) {
	w := newFixture(t, Config{})
	for name, input := range map[string]*cloudwatch.DescribeAlarmsInput{
		"too many names":    {AlarmNames: make([]string, 101)},
		"names and prefix":  {AlarmNames: []string{"a"}, AlarmNamePrefix: aws.String("b")},
		"too many records":  {MaxRecords: aws.Int32(101)},
		"an unknown state":  {StateValue: "BAD"},
		"no record at most": {MaxRecords: aws.Int32(0)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.cloudWatch().DescribeAlarms(w.ctx, input)
			var api smithy.APIError
			require.ErrorAs(t, err, &api)
			assert.Equal(t, "ValidationError", api.ErrorCode())
		})
	}
}

func TestSetAlarmState_ChangesTheState(t *testing.T) {
	w := newFixture(t, Config{})
	require.NoError(t, w.PutAlarm("errors", "", ""))
	input := &cloudwatch.SetAlarmStateInput{
		AlarmName: aws.String("errors"), StateValue: types.StateValueAlarm, StateReason: aws.String("a drill"),
	}
	_, err := w.cloudWatch().SetAlarmState(w.ctx, input)
	require.NoError(t, err)
	assert.Equal(t, "ALARM", w.Alarms()[0].State)
	input.AlarmName = aws.String("absent")
	_, err = w.cloudWatch().SetAlarmState(w.ctx, input)
	var notFound *types.ResourceNotFound
	require.ErrorAs(t, err, &notFound)
}

func TestFaults_ConcernCloudWatch(t *testing.T) {
	w := newFixture(t, Config{})
	code := func() string {
		_, err := w.cloudWatch().DescribeAlarms(w.ctx, &cloudwatch.DescribeAlarmsInput{})
		var api smithy.APIError
		require.ErrorAs(t, err, &api)
		return api.ErrorCode()
	}
	w.SetFaults(Faults{Throttle: map[string]float64{"cloudwatch": 1}})
	assert.Equal(t, "Throttling", code())
	w.SetFaults(Faults{Refusals: map[string]Refusal{"DescribeAlarms": {Code: "AccessDeniedException", Fraction: 1}}})
	assert.Equal(t, "AccessDeniedException", code())
	w.SetFaults(Faults{})
	w.SetDown("cloudwatch", true)
	assert.Equal(t, "ServiceUnavailable", code())
}

func TestControl_SetsAlarms(t *testing.T) {
	w := newFixture(t, Config{})
	require.Error(t, w.PutAlarm("", "", ""))
	require.Error(t, w.PutAlarm("errors", "BAD", ""))
	require.Error(t, w.PutAlarm("errors", "", "BAD"))
	require.ErrorIs(t, w.DeleteAlarm("errors"), errNotFound)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	path := "/_sim/alarms?name=errors"
	require.Equal(t, http.StatusOK, w.curl(http.MethodPost, path+"&state=ALARM&type=CompositeAlarm", "", nil))
	var shown struct{ Alarms []Alarm }
	require.Equal(t, http.StatusOK, w.curl(http.MethodGet, "/_sim/alarms", "", &shown))
	require.Len(t, shown.Alarms, 1)
	assert.Equal(t, "ALARM", shown.Alarms[0].State)
	assert.Equal(t, "CompositeAlarm", shown.Alarms[0].Type)
	require.Equal(t, http.StatusOK, w.curl(http.MethodDelete, path, "", nil))
	assert.Empty(t, w.Alarms())
	assert.Equal(t, http.StatusNotFound, w.curl(http.MethodDelete, path, "", nil))
}
