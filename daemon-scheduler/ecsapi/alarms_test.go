package ecsapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecserrors"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/ratelimit"
)

func newAlarms(t *testing.T) (*Alarms, *ecssim.Sim, ratelimit.CloudWatch) {
	t.Helper()
	sim := ecssim.New(ecssim.Config{})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	limits := ratelimit.CloudWatch{DescribeAlarms: ratelimit.New(ratelimit.Bucket{Burst: 100, Rate: 1e-6}, 1)}
	return NewAlarms(cloudwatch.New(cloudwatch.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: aws.AnonymousCredentials{},
		Retryer: aws.NopRetryer{}, HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}), limits), sim, limits
}

func TestAlarms_AreReadInCallsForAHundred(t *testing.T) {
	alarms, sim, limits := newAlarms(t)
	var names []string
	for n := range 150 {
		name := fmt.Sprintf("alarm-%03d", n)
		kind := "MetricAlarm"
		if n%2 == 1 {
			kind = "CompositeAlarm"
		}
		require.NoError(t, sim.PutAlarm(name, "ALARM", kind))
		names = append(names, name, name)
	}
	states, err := alarms.States(t.Context(), append(names, "absent"))
	require.NoError(t, err)
	assert.Len(t, states, 150)
	assert.Equal(t, types.StateValueAlarm, states["alarm-149"])
	assert.NotContains(t, states, "absent")
	assert.Equal(t, 2, sim.Calls("DescribeAlarms"), "each name once, a hundred in a call")
	assert.Equal(t, 98, limits.DescribeAlarms.Available(100))
}

func TestAlarms_ReportWhyTheyCannotBeRead(t *testing.T) {
	alarms, sim, limits := newAlarms(t)
	sim.SetFaults(ecssim.Faults{
		Refusals: map[string]ecssim.Refusal{"DescribeAlarms": {Code: "AccessDeniedException", Fraction: 1}},
	})
	_, err := alarms.States(t.Context(), []string{"errors"})
	outcome, called := ecserrors.OfError(err)
	require.True(t, called)
	assert.True(t, outcome.DeniesAccess())
	sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"cloudwatch": 1}})
	_, err = alarms.States(t.Context(), []string{"errors"})
	outcome, _ = ecserrors.OfError(err)
	assert.True(t, outcome.Throttled())
	assert.Zero(t, limits.DescribeAlarms.Available(100), "the limiter slows down")
}
