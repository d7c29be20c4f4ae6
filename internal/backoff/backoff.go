// Package backoff computes how long to wait between retries: exponential delays with jitter.
//
// A loop that keeps one component running:
//
//	for retry := backoff.New(100*time.Millisecond, 10*time.Second); ctx.Err() == nil; retry.Wait(ctx) {
//		if err := follow(ctx, retry.Reset); err != nil {
//			log.WithError(err).Warn("failed to follow etcd; retrying")
//		}
//	}
//
// A bounded number of attempts is Retry. Pure code that keeps its own count of failures uses Delay, and Jitter
// where several processes retry against one server.
package backoff

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	multiplier = 2
	jitter     = 0.5 // a delay is between this part of its nominal value and all of it
)

// Backoff counts failures and computes the delay after each of them. It belongs to one goroutine.
type Backoff struct {
	exponential backoff.ExponentialBackOff
}

// New returns a Backoff whose nominal delay is initial after the first failure, doubles with each further one and
// never exceeds longest. The real delay is a random value between half the nominal delay and all of it.
func New(initial, longest time.Duration) *Backoff {
	// ExponentialBackOff spreads a delay evenly around its interval, so the interval is the middle of the range.
	const middle = (1 + jitter) / 2
	return &Backoff{backoff.ExponentialBackOff{
		InitialInterval:     time.Duration(middle * float64(initial)),
		MaxInterval:         time.Duration(middle * float64(longest)),
		Multiplier:          multiplier,
		RandomizationFactor: (1 - middle) / middle,
	}}
}

// Next counts a failure and returns the delay before the next attempt.
func (b *Backoff) Next() time.Duration { return b.exponential.NextBackOff() }

// Reset forgets all failures: the next delay is the initial one.
func (b *Backoff) Reset() { b.exponential.Reset() }

// Wait counts a failure and sleeps for the delay. It reports false if ctx ended first.
func (b *Backoff) Wait(ctx context.Context) bool { return Sleep(ctx, b.Next()) }

// Sleep waits for d. It reports false if ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// Retry calls operation until it succeeds, attempts are used up, it returns a Permanent error, or ctx ends. It waits
// between attempts as a Backoff with those delays does. It returns the operation's last error.
func Retry(ctx context.Context, initial, longest time.Duration, attempts uint, operation func() error) error {
	var last error
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		last = operation()
		return struct{}{}, last
	}, backoff.WithBackOff(&New(initial, longest).exponential), backoff.WithMaxTries(attempts),
		backoff.WithMaxElapsedTime(0))
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) { // the library prefers the context's error
		return last
	}
	return err
}

// Permanent marks err as one that Retry returns without another attempt.
func Permanent(err error) error { return backoff.Permanent(err) }

// Delay is the nominal delay after a number of failures in a row: zero for none, initial for one, twice as much for
// each further failure, and at most longest. It has no jitter, so that equal input gives equal plans.
func Delay(initial, longest time.Duration, failures int) time.Duration {
	var delay time.Duration
	exponential := backoff.ExponentialBackOff{InitialInterval: initial, MaxInterval: longest, Multiplier: multiplier}
	for n := 0; n < failures && delay < longest; n++ {
		delay = exponential.NextBackOff()
	}
	return min(delay, longest)
}

// Jitter returns a random duration between half of d and d.
func Jitter(d time.Duration) time.Duration {
	spread := time.Duration((1 - jitter) * float64(d))
	if spread <= 0 {
		return d
	}
	return d - rand.N(spread+1)
}
