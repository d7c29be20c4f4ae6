package robustness

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScenario_DependsOnTheSeedAlone(t *testing.T) {
	scenario := newScenario(7, time.Minute, faultKinds, false)
	assert.Equal(t, scenario, newScenario(7, time.Minute, faultKinds, false))
	assert.NotEqual(t, scenario, newScenario(8, time.Minute, faultKinds, false))
	rotated := append(slices.Clone(faultKinds[3:]), faultKinds[:3]...)
	assert.Equal(t, scenario, newScenario(7, time.Minute, rotated, false), "the order of --faults does not matter")
}

func TestScenario_KeepsFaultsWithinTheirBounds(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		etcdBusyUntil := time.Duration(0)
		for _, a := range newScenario(seed, 2*time.Minute, faultKinds, false) {
			seen[a.Kind] = true
			assert.LessOrEqual(t, a.At, 2*time.Minute)
			switch {
			case (a.Kind == "pause" || a.Kind == "suspend") && strings.HasPrefix(a.Target, "ds-"):
				assert.LessOrEqual(t, a.Duration, maxSchedulerPause)
			case a.Kind == "pause" && a.Target == "sim":
				assert.LessOrEqual(t, a.Duration, maxSimulatorPause)
			case a.Kind == "kill":
				assert.NotEqual(t, "sim", a.Target, "the simulator holds the truth")
			}
			if a.Kind == "quorum-loss" || strings.HasPrefix(a.Target, "etcd-") {
				assert.GreaterOrEqual(t, a.At, etcdBusyUntil, "one etcd member at most has a fault, except for quorum-loss")
				etcdBusyUntil = a.At + a.Duration
			}
		}
	}
	for _, kind := range faultKinds {
		assert.True(t, seen[kind] || kind != "nospace" && slices.Contains(scheduledOnce, kind), kind)
	}
	for _, a := range newScenario(1, time.Minute, []string{"kill"}, false) {
		assert.NotContains(t, faultKinds[1:], a.Kind, "only the selected kinds occur")
	}
	assert.Less(t, maxSchedulerPause+maxSimulatorPause+4*maxProxyDelay+maxAPILatency+maxListLag, startConfirmTimeout,
		"together the faults delay a StartTask for less")
}

func TestRun_PrintsThePlanAndRejectsInvalidFlags(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Run(t.Context(), []string{"--plan", "--seed", "1", "--duration", "10s"}, &out))
	assert.Contains(t, out.String(), `"kind":"register"`)
	for _, args := range [][]string{
		{"--faults", "weather"}, {"--duration", "0s"}, {"more"}, {"--nope"}, {"--kinesis", "--events", "1"}, {"--recovery-timeout", "0s"},
		{"--regions", "0"}, {"--regions", "5"}, {"--regions", "2", "--events", "1"},
	} {
		assert.Error(t, Run(t.Context(), args, io.Discard), args)
	}
}

func TestScenario_SparesTheSchedulerWithALoad(t *testing.T) {
	kills := 0
	for _, a := range newScenario(3, time.Hour, faultKinds, true) {
		if a.Kind == "kill" {
			kills++
			assert.NotContains(t, schedulerNames, a.Target)
		}
	}
	assert.Positive(t, kills)
	assert.Less(t, len(newScenario(3, time.Hour, faultKinds, true)), len(newScenario(3, time.Hour, faultKinds, false)))
}
