package gcfloor

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
)

func TestPercent_GrowsByTheFloorAtLeast(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		live, floor uint64
		want        int
	}{
		{0, 64 * mib, 6400},
		{16 * mib, 64 * mib, 400},
		{64 * mib, 64 * mib, 100},
		{500 * mib, 64 * mib, 100},
	} {
		assert.Equal(t, tc.want, percent(tc.live, tc.floor), "%d live", tc.live/mib)
	}
}

// current returns the percentage that is in force.
func current() int {
	percent := debug.SetGCPercent(defaultPercent)
	debug.SetGCPercent(percent)
	return percent
}

func TestSet_FollowsTheHeap(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Cleanup(func() { debug.SetGCPercent(defaultPercent) })
	Set(256 << 20)
	assert.Greater(t, current(), 4*defaultPercent)

	live := make([]byte, 512<<20)
	testenv.Eventually(t, func() bool { runtime.GC(); return current() == defaultPercent })
	runtime.KeepAlive(live)
	testenv.Eventually(t, func() bool { runtime.GC(); return current() > 4*defaultPercent })
}

func TestSet_LeavesTheOperatorsChoice(t *testing.T) {
	t.Setenv("GOGC", "50")
	before := current()
	Set(256 << 20)
	assert.Equal(t, before, current())
}
