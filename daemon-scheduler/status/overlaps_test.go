package status

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func setOf(numbers ...int) bitset {
	b := newBitset(200)
	for _, n := range numbers {
		b.set(n)
	}
	return b
}

func TestOverlapCondition_NamesTheEnvironmentsAndCountsTheirInstances(t *testing.T) {
	at := func(minutes int) time.Time { return time.Date(2026, 1, 2, 3, minutes, 0, 0, time.UTC) }
	daemons := []daemon{
		{"first", at(1), setOf(0, 1, 64, 199)},
		{"second", at(5), setOf(1, 199)},
		{"third", at(3), setOf(64, 199)},
		{"apart", at(2), setOf(7)},
	}
	first := overlapCondition("agent", daemons, 0)
	require.NotNil(t, first)
	assert.Equal(t, environment.Condition{
		Type: environment.ConditionOverlapsEnvironment, Status: environment.ConditionTrue,
		Reason:             "SameTaskDefinitionFamily",
		Message:            "Tasks of agent also run for second, third, on 3 instances of this environment.",
		LastTransitionTime: at(3),
	}, *first)
	second := overlapCondition("agent", daemons, 1)
	require.NotNil(t, second)
	assert.Equal(t, "Tasks of agent also run for first, third, on 2 instances of this environment.", second.Message)
	assert.Equal(t, at(5), second.LastTransitionTime)
	assert.Nil(t, overlapCondition("agent", daemons, 3))
	assert.Nil(t, overlapCondition("agent", daemons[:1], 0))

	daemons = nil
	for n := range 9 {
		daemons = append(daemons, daemon{fmt.Sprintf("e%d", n), at(n), setOf(5)})
	}
	assert.Equal(t, "Tasks of agent also run for e1, e2, e3, e4, e5 and 3 more, on 1 instance of this environment.",
		overlapCondition("agent", daemons, 0).Message)
}

func BenchmarkOverlapCondition(b *testing.B) {
	const environments, instances = 50, 5000
	var daemons []daemon
	for n := range environments {
		all := newBitset(instances)
		for i := range instances {
			all.set(i)
		}
		daemons = append(daemons, daemon{fmt.Sprint(n), time.Now(), all})
	}
	for b.Loop() {
		for n := range daemons {
			if overlapCondition("agent", daemons, n) == nil {
				b.Fatal("no overlap")
			}
		}
	}
}
