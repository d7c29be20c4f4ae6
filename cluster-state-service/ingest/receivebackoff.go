package ingest

import (
	"sync/atomic"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	firstReceiveDelay = 10 * time.Millisecond
	// longestReceiveDelay applies while other pollers succeed: the queue responds, but rejects some calls. If it rejects
	// half of them, the delays then take about as long as the rejected calls.
	longestReceiveDelay = 250 * time.Millisecond
	longestOutageDelay  = 5 * time.Second // while no poller succeeds
)

// receiveBackoff computes the pollers' delays after failed receives.
type receiveBackoff struct {
	pollers  int
	failures atomic.Int64 // of all pollers since any of them succeeded
}

func (b *receiveBackoff) succeeded() { b.failures.Store(0) }

// failed counts a failure and returns the delay of a poller that has failed the given number of times in a row.
func (b *receiveBackoff) failed(inRow int) time.Duration {
	outage := int(b.failures.Add(1)) / (b.pollers + 1) // failures of every poller
	return backoff.Jitter(max(
		backoff.Delay(firstReceiveDelay, longestReceiveDelay, inRow),
		backoff.Delay(firstReceiveDelay, longestOutageDelay, outage),
	))
}
