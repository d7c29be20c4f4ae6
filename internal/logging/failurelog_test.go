package logging

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFailureLog_LogsAtGrowingIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, hook := test.NewNullLogger()
		failures := NewFailureLog(log, "failed to read", "reading again")
		start := time.Now()
		for time.Since(start) < 150*time.Second {
			failures.Failed(errors.New("connection refused"))
			time.Sleep(time.Second)
		}
		failures.Succeeded()
		failures.Succeeded()
		entries := hook.AllEntries()
		require.Len(t, entries, 5)
		for i, seconds := range []int{0, 10, 30, 70} { // after 10, 20 and 40 seconds more
			assert.Equal(t, "failed to read", entries[i].Message)
			assert.Equal(t, time.Duration(seconds)*time.Second, entries[i].Time.Sub(start))
		}
		assert.NotContains(t, entries[0].Data, "failures", "the first failure needs no count")
		assert.Equal(t, 71, entries[3].Data["failures"])
		assert.Equal(t, "reading again", entries[4].Message)
		assert.Equal(t, 150, entries[4].Data["failures"])
	})
}

func TestFailureLog_LogsFlappingOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, hook := test.NewNullLogger()
		failures := NewFailureLog(log, "failed to read", "reading again")
		for range 9 {
			failures.Failed(errors.New("throttled"))
			failures.Succeeded()
			time.Sleep(time.Second)
		}
		assert.Len(t, hook.AllEntries(), 2, "one start and one end within the first interval")
		time.Sleep(time.Hour)
		failures.Failed(errors.New("throttled"))
		assert.Len(t, hook.AllEntries(), 3, "a new failure is logged at once")
	})
}

func TestFailureLogs_CountEachThingAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, hook := test.NewNullLogger()
		failures := NewFailureLogs(log, "environment", "failed to reconcile", "reconciled again")
		for range 5 {
			failures.Failed("logs", errors.New("rejected"))
			time.Sleep(time.Second)
		}
		failures.Failed("metrics", errors.New("rejected"))
		failures.Succeeded("logs")
		failures.Succeeded("never-failed")
		var lines []string
		for _, entry := range hook.AllEntries() {
			lines = append(lines, entry.Data["environment"].(string)+": "+entry.Message)
		}
		assert.Equal(t, []string{
			"logs: failed to reconcile", "metrics: failed to reconcile", "logs: reconciled again",
		}, lines)
		failures.Forget("logs")
		failures.Failed("logs", errors.New("rejected"))
		assert.Len(t, hook.AllEntries(), 4, "another environment of the same name")
	})
}
