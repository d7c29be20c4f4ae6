package ingest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestReceiveBackoff_StaysShortWhileOtherPollersSucceed(t *testing.T) {
	b := receiveBackoff{pollers: 10}
	for inRow := range 100 {
		b.succeeded()
		assert.LessOrEqual(t, b.failed(inRow+1), time.Second)
	}
}

func TestReceiveBackoff_GrowsWhileNoPollerSucceeds(t *testing.T) {
	const pollers, longest = 10, 5 * time.Second
	b := receiveBackoff{pollers: pollers}
	var last time.Duration
	for inRow := range 20 {
		for range pollers {
			last = b.failed(inRow + 1)
			assert.LessOrEqual(t, last, longest)
		}
	}
	assert.GreaterOrEqual(t, last, longest/2, "jitter shortens a delay by half at most")
	b.succeeded()
	assert.LessOrEqual(t, b.failed(1), firstReceiveDelay)
}

// With half of the receives rejected, the pollers wait for a small part of the time that a receive from afar takes.
func TestReceiveBackoff_CostsLittleIfHalfOfTheReceivesFail(t *testing.T) {
	const pollers, receives = 10, 10_000
	random := rand.New(rand.NewPCG(1, 2))
	b := receiveBackoff{pollers: pollers}
	var inRow [pollers]int
	var waited time.Duration
	for done := 0; done < receives; {
		poller := random.IntN(pollers)
		if random.IntN(2) == 0 {
			inRow[poller]++
			waited += b.failed(inRow[poller])
			continue
		}
		b.succeeded()
		inRow[poller] = 0
		done++
	}
	assert.Less(t, waited/receives, 40*time.Millisecond, "for each receive")
}
