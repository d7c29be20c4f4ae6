package eventsink

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

var toBus = Options{EventBus: "default"}

func TestEventBus_ReceivesEventsInOrder(t *testing.T) {
	f := newFixture(t)
	f.record(3) // before the sink has its first position
	f.lead(toBus)
	want := append(f.record(15), f.record(1)...)
	testenv.Eventually(t, func() bool { return len(f.busIDs()) == len(want) })
	assert.Equal(t, want, f.busIDs())
	received, err := f.sim.BusEvents("default")
	require.NoError(t, err)
	assert.Equal(t, "blox.daemon-scheduler", received[0].Source)
	assert.Equal(t, "Blox Service Event", received[0].DetailType)
	assert.Equal(t, []string{"arn:aws:ecs:us-east-1:123456789012:cluster/prod"}, received[0].Resources)
	testenv.Eventually(t, func() bool { return f.counter("eventbridge", outcomeDelivered) == 16 && f.lag() == 0 })
}

// Entries that EventBridge refuses are sent again, and the others are not.
func TestEventBus_RepeatsFailedEntriesAlone(t *testing.T) {
	f := newFixture(t)
	f.sim.SetFaults(ecssim.Faults{Bus: ecssim.BusFaults{Fraction: 0.4}})
	f.lead(toBus)
	want := f.record(10)
	testenv.Eventually(t, func() bool { return f.counter("eventbridge", outcomeFailed) > 0 })
	testenv.Eventually(t, func() bool { return len(f.busIDs()) >= len(want) })
	got := f.busIDs()
	slices.Sort(got)
	slices.Sort(want)
	assert.Equal(t, want, got, "each entry is accepted once")
}

func TestEventBus_WaitsWhileEventBridgeFails(t *testing.T) {
	for name, faults := range map[string]ecssim.Faults{
		"throttles": {Throttle: map[string]float64{"eventbridge": 1}},
		"fails":     {ServerErrors: map[string]float64{"PutEvents": 1}},
		"refuses access": {Refusals: map[string]ecssim.Refusal{
			"PutEvents": {Code: "AccessDeniedException", Fraction: 1},
		}},
		"knows no permission for the source": {Bus: ecssim.BusFaults{
			Fraction: 1, Code: "NotAuthorizedForSourceException",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.sim.SetFaults(faults)
			f.lead(toBus)
			want := f.record(2)
			testenv.Eventually(t, func() bool { return f.counter("eventbridge", outcomeFailed) >= 2 && f.lag() > 0 })
			assert.Empty(t, f.busIDs())
			f.sim.SetFaults(ecssim.Faults{})
			testenv.Eventually(t, func() bool { return len(f.busIDs()) == len(want) })
			assert.Equal(t, want, f.busIDs())
		})
	}
}

// An event that EventBridge never accepts does not stop the others.
func TestEventBus_DropsMalformedEvents(t *testing.T) {
	f := newFixture(t)
	encode := f.cfg.Encode
	var bad string
	f.cfg.Encode = func(e environment.Event) []byte {
		if e.ID == bad {
			return []byte("no JSON")
		}
		return encode(e)
	}
	bad = "change-00000000000000000001-1"
	f.lead(toBus)
	want := f.record(3)
	testenv.Eventually(t, func() bool { return f.counter("eventbridge", outcomeRejected) == 1 })
	testenv.Eventually(t, func() bool { return len(f.busIDs()) == 2 })
	assert.Equal(t, []string{want[0], want[2]}, f.busIDs())
}

// A leader continues where the last one stopped, and the events in between are not lost.
func TestEventBus_NextLeaderContinues(t *testing.T) {
	f := newFixture(t)
	stop := f.lead(toBus)
	want := f.record(3)
	testenv.Eventually(t, func() bool { return f.counter("eventbridge", outcomeDelivered) == 3 })
	stop()
	want = append(want, f.record(4)...)
	f.lead(toBus)
	want = append(want, f.record(1)...)
	testenv.Eventually(t, func() bool { return len(f.busIDs()) >= len(want) })
	assert.Equal(t, want, f.busIDs())
}

// The entries of one call have 256 KB together.
func TestEventBus_SplitsLargeBatches(t *testing.T) {
	f := newFixture(t)
	f.cfg.Encode = func(e environment.Event) []byte {
		return []byte(`{"id":"` + e.ID + `","x":"` + strings.Repeat("x", 100<<10) + `"}`)
	}
	f.lead(toBus)
	want := f.record(5)
	testenv.Eventually(t, func() bool { return len(f.busIDs()) == len(want) })
	assert.Equal(t, want, f.busIDs())
	assert.Equal(t, 3, f.sim.Calls("PutEvents"))
}

func TestEventBus_EntrySizeIsEventBridges(t *testing.T) {
	b := &eventBus{bus: "default"}
	e := b.entry(message{environment.Event{LastSeenAt: time.Now(), Cluster: "cluster"}, []byte("{}\n")})
	assert.Equal(t, 14+len("blox.daemon-scheduler")+len("Blox Service Event")+len("{}")+len("cluster"), entrySize(e))
	assert.False(t, bytes.HasSuffix([]byte(*e.Detail), []byte("\n")))
}
