package clusterstate

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// phantomLife is how long a phantom is left out. It is longer than the time between two reconciliations of the
	// cluster-state-service, which remove the phantom's record.
	phantomLife = 30 * time.Minute
	maxPhantoms = 10_000 // bounds the memory: a phantom beyond them is found again when it matters
)

// phantoms holds the tasks that the cluster-state-service shows and ECS does not know. It is safe for concurrent use.
type phantoms struct {
	mu    sync.Mutex // serializes changes
	until atomic.Pointer[map[string]time.Time]
	// changes counts the calls of add.
	changes atomic.Int64
}

// add leaves out the tasks with these ARNs from now on.
func (p *phantoms) add(arns []string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := map[string]time.Time{}
	if current := p.until.Load(); current != nil {
		maps.Copy(next, *current)
	}
	maps.DeleteFunc(next, func(_ string, until time.Time) bool { return !now.Before(until) })
	for _, arn := range arns {
		if len(next) < maxPhantoms {
			next[arn] = now.Add(phantomLife)
		}
	}
	p.until.Store(&next)
	p.changes.Add(1)
}

// at returns a function that reports whether the task with an ARN is a phantom at a time.
func (p *phantoms) at(now time.Time) func(arn string) bool {
	until := p.expiries()
	return func(arn string) bool {
		expiry, ok := until[arn]
		return ok && now.Before(expiry)
	}
}

// nextExpiry returns when the next phantom expires; zero if there is none.
func (p *phantoms) nextExpiry(now time.Time) (next time.Time) {
	for _, expiry := range p.expiries() {
		if now.Before(expiry) && (next.IsZero() || expiry.Before(next)) {
			next = expiry
		}
	}
	return next
}

// expiries returns when the phantoms expire, by ARN. The map never changes.
func (p *phantoms) expiries() map[string]time.Time {
	if p == nil {
		return nil
	}
	if current := p.until.Load(); current != nil {
		return *current
	}
	return nil
}
