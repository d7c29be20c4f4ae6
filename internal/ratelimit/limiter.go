// Package ratelimit keeps the calls of one process within the token buckets by which AWS throttles an account in a
// region. Other processes share the buckets, so each limiter adapts: when AWS throttles a call, the limiter infers from
// its own calls how many tokens the others have taken, and leaves them as many from then on. Later its rate grows again
// by steps, up to the published one.
package ratelimit

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// When AWS throttles, the rate falls to what the others leave, less a part by which the bucket recovers. It falls to
	// decrease at most, since the others' calls may have come together. If AWS throttles again before holdTime is over,
	// the others have been underestimated, and the rate falls to decrease.
	recovery = 0.9
	decrease = 0.5
	// decreasePause is how long further throttled calls count as the same: they were sent at the former rate.
	decreasePause = time.Second
	// holdTime is how long the rate stays after a throttled call.
	holdTime = 30 * time.Second
	// increase is the part of the greatest rate by which the rate grows in a second, until AWS throttles for the first
	// time, and carefulIncrease the part after that: others use the bucket, too.
	increase        = 0.05
	carefulIncrease = 0.005
	leastRate       = 0.05 // of the greatest rate
)

// Priority orders the calls that wait for a token.
type Priority int

// The priorities, the most urgent first.
const (
	High Priority = iota
	Normal
	Low
	priorities
)

// Bucket is a token bucket: as many calls at once as Burst, and Rate calls a second.
type Bucket struct {
	Burst, Rate float64
}

// jitter is by how much the ways of two calls, from their tokens to AWS's bucket, may differ in time.
const jitter = 250 * time.Millisecond

// WithoutJitter returns the bucket that a limiter spends so that AWS's bucket b throttles no call, although calls that
// left one after the other may arrive together: as many tokens as the rate gives during the jitter stay unspent.
func (b Bucket) WithoutJitter() Bucket {
	return Bucket{max(b.Burst-b.Rate*jitter.Seconds(), 1), b.Rate}
}

// Limiter spends the tokens of one bucket. A nil Limiter allows every call. It is safe for concurrent use.
type Limiter struct {
	bucket Bucket  // AWS's, or the part of it that the process may spend
	burst  float64 // of calls
	now    func() time.Time

	mu     sync.Mutex
	rate   float64
	tokens float64
	at     time.Time // of tokens, rate and alone
	// alone is how many tokens AWS's bucket would have if nothing else had taken any since the time since, when it was
	// full or empty.
	alone       float64
	since       time.Time
	throttledAt time.Time // zero before the first throttled call
	throttled   int64     // calls
	waiting     [priorities][]*waiter
}

type waiter struct{ wake chan struct{} }

// New returns a Limiter for a bucket, whose rate is a part of the bucket's, from 0 to 1, at first. As much of the
// bucket's burst remains for others.
func New(b Bucket, part float64) *Limiter {
	l := &Limiter{bucket: b, burst: b.Burst * part, now: time.Now, rate: b.Rate * part, alone: b.Burst}
	l.tokens, l.at = l.burst, l.now()
	l.since = l.at
	return l
}

// Wait takes one token. It blocks until there is one and no more urgent call waits, or until ctx ends.
func (l *Limiter) Wait(ctx context.Context, p Priority) error {
	if l == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	w := &waiter{make(chan struct{}, 1)}
	l.mu.Lock()
	l.waiting[p] = append(l.waiting[p], w)
	for {
		granted, delay := l.grant(w, p)
		l.mu.Unlock()
		if granted {
			return nil
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-w.wake:
		case <-ctx.Done():
			timer.Stop()
			l.mu.Lock()
			l.remove(w, p)
			l.mu.Unlock()
			return ctx.Err()
		}
		timer.Stop()
		l.mu.Lock()
	}
}

// longestDelay bounds the time after which a call that waits looks at the tokens again.
const longestDelay = time.Minute

// grant takes a token for the call that is next. Otherwise it returns how long to wait. Its caller holds the lock.
func (l *Limiter) grant(w *waiter, p Priority) (granted bool, delay time.Duration) {
	if l.next() != w {
		return false, longestDelay // it is woken once it is next
	}
	l.refill()
	if l.tokens < 1 {
		missing := time.Duration((1 - l.tokens) / l.rate * float64(time.Second))
		return false, min(missing+time.Microsecond, longestDelay)
	}
	l.tokens--
	l.alone--
	l.remove(w, p)
	return true, 0
}

// next returns the call that gets the next token; nil if none waits. Its caller holds the lock.
func (l *Limiter) next() *waiter {
	for _, queue := range l.waiting {
		if len(queue) > 0 {
			return queue[0]
		}
	}
	return nil
}

// remove removes a call that waits, and wakes the next one. Its caller holds the lock.
func (l *Limiter) remove(w *waiter, p Priority) {
	if n := slices.Index(l.waiting[p], w); n >= 0 {
		l.waiting[p] = slices.Delete(l.waiting[p], n, n+1)
	}
	l.wakeNext()
}

func (l *Limiter) wakeNext() {
	if next := l.next(); next != nil {
		select {
		case next.wake <- struct{}{}:
		default:
		}
	}
}

// refill adds the tokens and the growth of the rate since it was called last. Its caller holds the lock.
func (l *Limiter) refill() {
	now := l.now()
	elapsed := max(0, now.Sub(l.at).Seconds())
	l.at = now
	l.tokens = min(l.burst, l.tokens+elapsed*l.rate)
	if l.alone += elapsed * l.bucket.Rate; l.alone >= l.bucket.Burst {
		l.alone, l.since = l.bucket.Burst, now
	}
	step := increase
	if !l.throttledAt.IsZero() {
		step = carefulIncrease
		elapsed = min(elapsed, max(0, now.Sub(l.throttledAt.Add(holdTime)).Seconds()))
	}
	l.rate = min(l.bucket.Rate, l.rate+elapsed*step*l.bucket.Rate)
}

// Throttled reports that AWS throttled a call: the bucket is empty, and the rate falls.
func (l *Limiter) Throttled() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill()
	l.throttled++
	l.tokens = min(l.tokens, 0)
	if now := l.now(); l.throttledAt.IsZero() || now.Sub(l.throttledAt) >= decreasePause {
		next := l.rate * decrease
		if l.throttledAt.IsZero() || now.Sub(l.throttledAt) >= holdTime {
			next = max(next, min(l.leftByOthers(now), l.rate)*recovery)
		}
		l.rate = max(next, leastRate*l.bucket.Rate)
		l.throttledAt = now
		l.alone, l.since = 0, now
	}
}

// leftByOthers returns the rate that the others leave, now that AWS's bucket is empty: they have taken what it would
// have without them. Its caller holds the lock.
func (l *Limiter) leftByOthers(now time.Time) float64 {
	return l.bucket.Rate - max(l.alone, 0)/max(now.Sub(l.since), time.Second).Seconds()
}

// Available returns how many calls may go out at once, most at most.
func (l *Limiter) Available(most int) int {
	if l == nil {
		return most
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill()
	return max(0, min(int(l.tokens), most))
}

// state returns the present rate in calls a second, and the number of throttled calls.
func (l *Limiter) state() (rate float64, throttled int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill()
	return l.rate, l.throttled
}
