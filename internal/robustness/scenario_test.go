package robustness

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestASeedIsASchedule(t *testing.T) {
	one, again, other := schedule(7, time.Minute, faultKinds), schedule(7, time.Minute, faultKinds), schedule(8, time.Minute, faultKinds)
	assert.Equal(t, one, again)
	assert.NotEqual(t, one, other)
	turned := append(append([]string{}, faultKinds[3:]...), faultKinds[:3]...)
	assert.Equal(t, one, schedule(7, time.Minute, turned), "the order of the selection does not matter")
}

func TestScheduleLaws(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		etcdUntil := time.Duration(0)
		for _, s := range schedule(seed, 2*time.Minute, faultKinds) {
			seen[s.Do] = true
			assert.LessOrEqual(t, s.At, 2*time.Minute)
			switch {
			case s.Do == "pause" && s.Target[:3] == "ds-":
				assert.LessOrEqual(t, s.For, longestPause)
			case s.Do == "pause" && s.Target == "sim":
				assert.LessOrEqual(t, s.For, longestPauseSim)
			case s.Do == "kill":
				assert.NotEqual(t, "sim", s.Target, "it holds the truth")
			}
			if s.Do == "quorum" || len(s.Target) > 5 && s.Target[:5] == "etcd-" {
				assert.GreaterOrEqual(t, s.At, etcdUntil, "of etcd's members one is away, unless quorum is lost on purpose")
				etcdUntil = s.At + s.For
			}
		}
	}
	for _, kind := range faultKinds {
		assert.True(t, seen[kind] || kind == "late" || kind == "stall", kind)
	}
	for _, s := range schedule(1, time.Minute, []string{"kill"}) {
		assert.NotContains(t, faultKinds[1:], s.Do, "only what was selected")
	}
	assert.Less(t, longestPause+longestPauseSim+4*slowest+longestLatency+longestLag, launchSettle, "together the faults delay a StartTask for less")
}

func TestPlanIsPrinted(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Run(t.Context(), []string{"--plan", "--seed", "1", "--duration", "10s"}, &out))
	assert.Contains(t, out.String(), `"do":"join"`)
	for _, args := range [][]string{{"--faults", "weather"}, {"--duration", "0s"}, {"more"}, {"--nope"}} {
		assert.Error(t, Run(t.Context(), args, io.Discard), args)
	}
}
