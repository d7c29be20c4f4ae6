package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/store"
)

// The monotonic clock does not advance while a machine is suspended, and the wall clock can be set back.
func TestFence_DemandsThatBothClocksAgree(t *testing.T) {
	announced := momentOf(time.Now())
	after := func(monotonic, wall time.Duration) moment {
		return moment{announced.monotonic.Add(monotonic), announced.wall.Add(wall)}
	}
	const window, ttl = 10 * time.Second, time.Minute
	window10, lease := after(window, window), after(ttl, ttl)
	for name, tc := range map[string]struct {
		now  moment
		want error
	}{
		"in time":                         {after(time.Second, time.Second), nil},
		"too late":                        {after(window, window), errAnnouncementExpired},
		"after a suspend of five minutes": {after(time.Second, 5*time.Minute), errAnnouncementExpired},
		"with the wall clock set back":    {after(window, -time.Hour), errAnnouncementExpired},
	} {
		t.Run(name, func(t *testing.T) { assert.ErrorIs(t, fence(tc.now, window10, lease, true), tc.want) })
	}
	long := after(time.Hour, time.Hour)
	require.ErrorIs(t, fence(after(time.Second, 5*time.Minute), long, lease, true), errLeaseExpired, "after a suspend")
	require.ErrorIs(t, fence(after(ttl, 0), long, lease, true), errLeaseExpired, "by the monotonic clock")
	require.NoError(t, fence(after(ttl, ttl), long, lease, false), "without a lease")
}

func TestCheckFence_ReadsBothClocks(t *testing.T) {
	now := time.Now()
	require.NoError(t, checkFence(t.Context(), store.Term{}, now.Add(time.Hour)))
	require.NoError(t, checkFence(t.Context(), store.Term{}, now.Add(time.Hour).Round(0)), "a wall clock time")
	require.ErrorIs(t, checkFence(t.Context(), store.Term{}, now), errAnnouncementExpired)
	lease := store.Term{Until: func() time.Time { return now }}
	require.ErrorIs(t, checkFence(t.Context(), lease, now.Add(time.Hour)), errLeaseExpired)
}
