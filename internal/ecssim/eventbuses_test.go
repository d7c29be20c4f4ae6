package ecssim

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/awsconfig"
)

func (w *fixture) eventBridge() *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{
		Region: "us-east-1", BaseEndpoint: &w.url, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
		HTTPClient:  awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	})
}

func busEntryOf(detail string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{Source: aws.String("blox"), DetailType: aws.String("test"), Detail: &detail}
}

func TestPutEvents_AddsEventsToBuses(t *testing.T) {
	w := newFixture(t, Config{})
	require.NoError(t, w.CreateEventBus("audit"))
	require.Error(t, w.CreateEventBus("arn:x"))
	at := time.Date(2026, 1, 31, 13, 0, 0, 0, time.UTC)
	toARN := busEntryOf(`{"n":2}`)
	toARN.EventBusName, toARN.Time = aws.String("arn:aws:events:us-east-1:123456789012:event-bus/audit"), &at
	toARN.Resources = []string{"arn:aws:ecs:us-east-1:123456789012:cluster/prod"}
	unknown := busEntryOf(`{}`)
	unknown.EventBusName = aws.String("none")
	out, err := w.eventBridge().PutEvents(w.ctx, &eventbridge.PutEventsInput{
		Entries: []types.PutEventsRequestEntry{busEntryOf(`{"n":1}`), toARN, busEntryOf(`no JSON`), unknown},
	})
	require.NoError(t, err)
	assert.EqualValues(t, 2, out.FailedEntryCount)
	assert.NotEmpty(t, *out.Entries[0].EventId)
	assert.Equal(t, "MalformedDetail", *out.Entries[2].ErrorCode)
	assert.Equal(t, "InvalidArgument", *out.Entries[3].ErrorCode)
	standard, err := w.BusEvents("default")
	require.NoError(t, err)
	require.Len(t, standard, 1)
	assert.JSONEq(t, `{"n":1}`, string(standard[0].Detail))
	audit, err := w.BusEvents("audit")
	require.NoError(t, err)
	require.Len(t, audit, 1)
	assert.Equal(t, at, audit[0].Time)
	assert.Equal(t, toARN.Resources, audit[0].Resources)
	_, err = w.BusEvents("none")
	require.ErrorIs(t, err, errNotFound)
}

func TestPutEvents_KeepsToTheLimits(t *testing.T) {
	w := newFixture(t, Config{})
	put := func(entries ...types.PutEventsRequestEntry) string {
		_, err := w.eventBridge().PutEvents(w.ctx, &eventbridge.PutEventsInput{Entries: entries})
		var api smithy.APIError
		require.ErrorAs(t, err, &api)
		return api.ErrorCode()
	}
	eleven := make([]types.PutEventsRequestEntry, 11)
	for n := range eleven {
		eleven[n] = busEntryOf(`{}`)
	}
	assert.Equal(t, "ValidationException", put(eleven...))
	large := busEntryOf(`{"x":"` + strings.Repeat("x", 130<<10) + `"}`)
	assert.Equal(t, "ValidationException", put(large, large), "all entries together")
	w.SetFaults(Faults{Throttle: map[string]float64{"PutEvents": 1}})
	assert.Equal(t, "ThrottlingException", put(busEntryOf(`{}`)))
	w.SetFaults(Faults{})
	w.SetDown("eventbridge", true)
	assert.Equal(t, "ServiceUnavailable", put(busEntryOf(`{}`)))
}

func TestPutEvents_RefusesAFractionOfTheEntries(t *testing.T) {
	w := newFixture(t, Config{})
	w.SetFaults(Faults{Bus: BusFaults{Fraction: 0.5, Code: "ThrottlingException"}})
	failed := 0
	for range 20 {
		out, err := w.eventBridge().PutEvents(w.ctx, &eventbridge.PutEventsInput{
			Entries: []types.PutEventsRequestEntry{busEntryOf(`{}`), busEntryOf(`{}`)},
		})
		require.NoError(t, err)
		failed += int(out.FailedEntryCount)
	}
	assert.Greater(t, failed, 5)
	assert.Less(t, failed, 35)
	events, err := w.BusEvents("default")
	require.NoError(t, err)
	assert.Len(t, events, 40-failed)
}

func TestControl_ShowsBuses(t *testing.T) {
	w := newFixture(t, Config{})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	assert.Equal(t, http.StatusNotFound, w.curl(http.MethodGet, "/_sim/buses?name=audit", "", nil))
	require.Equal(t, http.StatusOK, w.curl(http.MethodPost, "/_sim/buses?name=audit", "", nil))
	var shown struct{ Events []BusEvent }
	require.Equal(t, http.StatusOK, w.curl(http.MethodGet, "/_sim/buses?name=audit", "", &shown))
	assert.Empty(t, shown.Events)
}
