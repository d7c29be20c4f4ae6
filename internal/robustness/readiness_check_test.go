package robustness

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

func newTestReadiness(t *testing.T) *readinessCheck {
	t.Helper()
	return newReadinessCheck(&system{history: newTestHistory(t)}, config{})
}

func TestReadiness_ReportsReadyServicesWithoutQuorum(t *testing.T) {
	const ok, unavailable = http.StatusOK, http.StatusServiceUnavailable
	lost := time.Now()
	for name, tc := range map[string]struct {
		after      time.Duration // since the quorum was lost
		status     int
		back       bool // the quorum is back before the response
		violations int
	}{
		"is not ready":                         {time.Minute, unavailable, false, 0},
		"does not respond":                     {time.Minute, 0, false, 0},
		"is still ready within the limit":      {etcdLimit, ok, false, 0},
		"is still ready":                       {etcdLimit + time.Millisecond, ok, false, 1},
		"is ready, as the quorum has returned": {time.Minute, ok, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestReadiness(t)
			c.setQuorum(false, lost)
			c.setQuorum(false, lost.Add(time.Second))
			c.setQuorum(tc.back, lost.Add(2*time.Second))
			c.receive("css-0", lost, lost.Add(tc.after), tc.status, "")
			assert.Equal(t, tc.violations, c.history.violationCount())
		})
	}
}

// service is what the readiness of all services shows after a dependency fails and after it works again.
func TestReadiness_ReportsServicesThatHideAFailure(t *testing.T) {
	for name, tc := range map[string]struct {
		notReadyAfter, readyAfter time.Duration
		violations                int
	}{
		"at the limit":              {sourceLimit, time.Second, 0},
		"shortly after it began":    {time.Second, time.Second, 1},
		"never":                     {time.Hour, time.Second, 1},
		"it is not ready any more":  {sourceLimit, time.Hour, 1},
		"it is ready much too late": {sourceLimit, readyReturn + readyMargin, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTestHistory(t)
			synctest.Test(t, func(t *testing.T) {
				c := newReadinessCheck(&system{history: h}, config{})
				set := func(status int) {
					for _, name := range serviceNames {
						c.receive(name, time.Time{}, time.Now(), status, "")
					}
				}
				set(http.StatusOK)
				var change *time.Timer
				err := c.checkFailure(t.Context(), failure{
					name: "the queue", limit: sourceLimit,
					begin: func(context.Context) error {
						change = time.AfterFunc(tc.notReadyAfter, func() { set(http.StatusServiceUnavailable) })
						return nil
					},
					end: func(context.Context) error {
						change.Stop()
						change = time.AfterFunc(tc.readyAfter, func() { set(http.StatusOK) })
						return nil
					},
				})
				require.NoError(t, err)
				change.Stop()
			})
			assert.Equal(t, tc.violations, h.violationCount())
		})
	}
	c := newTestReadiness(t)
	err := c.checkFailure(t.Context(), failure{begin: func(context.Context) error { return errors.New("no process") }})
	require.Error(t, err, "a failure that could not be provoked proves nothing")
}

func TestBudget_ReportsThrottledCalls(t *testing.T) {
	counters := ecssim.Counters{
		Calls:   map[string]map[string]int{"StartTask": {"succeeded": 95, "ThrottlingException": 5}},
		Limited: map[string]int{"StartTask": 5},
	}
	assert.Empty(t, overBudget(counters, true), "a service that starts takes its buckets for full")
	assert.Contains(t, overBudget(counters, false), "5 of 100 calls of StartTask")
	counters.Limited["StartTask"] = 6
	assert.Contains(t, overBudget(counters, true), "6 of 100 calls of StartTask")
	counters.Limited = nil
	assert.Empty(t, overBudget(counters, false), "the fault throttles as well")
}
