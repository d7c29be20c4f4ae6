package ingest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestNewestEvent_IsNeitherLateNorAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e newestEvent
		assert.Zero(t, e.at())
		now := time.Now()
		e.recorded(now.Add(-time.Minute))
		e.recorded(now.Add(-time.Hour)) // late
		assert.Equal(t, now.Add(-time.Minute).UnixMilli(), e.at().UnixMilli())
		e.recorded(now.Add(time.Hour)) // by a clock that is ahead
		assert.Equal(t, now.UnixMilli(), e.at().UnixMilli())
		e.recorded(time.Time{}) // an event without time
		assert.Equal(t, now.UnixMilli(), e.at().UnixMilli())
	})
}
