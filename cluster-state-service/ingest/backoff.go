package ingest

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff waits longer and longer, with jitter, from 0.1 s to 10 s.
type backoff struct{ next time.Duration }

func newBackoff() *backoff { return &backoff{next: firstWait} }

const (
	firstWait   = 100 * time.Millisecond
	longestWait = 10 * time.Second
)

func (b *backoff) reset() { b.next = firstWait }

func (b *backoff) sleep(ctx context.Context) {
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer timer.Stop()
	b.next = min(2*b.next, longestWait)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
