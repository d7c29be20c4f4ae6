package ingest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestProgress_KeepsTheNewestEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p progress
		assert.Zero(t, p.state())
		now := time.Now()
		p.recorded(now.Add(-time.Minute))
		p.recorded(now.Add(-time.Hour)) // late
		assert.Equal(t, now.Add(-time.Minute).UnixMilli(), p.state().NewestEventAt.UnixMilli())
		p.recorded(now.Add(time.Hour)) // by a clock that is ahead
		assert.Equal(t, now.UnixMilli(), p.state().NewestEventAt.UnixMilli())
		p.recorded(time.Time{}) // an event without time
		assert.Equal(t, now.UnixMilli(), p.state().NewestEventAt.UnixMilli())
		time.Sleep(time.Second)
		p.received()
		assert.Equal(t, now.Add(time.Second).UnixMilli(), p.state().ReceivedAt.UnixMilli())
	})
}
