package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// unreadableLimit is how long the queue or stream may be unreadable before the service is not ready.
const unreadableLimit = 30 * time.Second

// The outcomes of a read.
const (
	receiveSucceeded = "succeeded"
	receiveFailed    = "failed"
)

// Connectivity records since when the queue or stream cannot be read. Time in which nothing is read, because the store
// does not respond, does not count. It is safe for concurrent use.
type Connectivity struct {
	mu           sync.Mutex
	reading      int       // calls in progress
	pendingSince time.Time // since when calls have failed or, if none has, are in progress; zero if neither
	succeeded    bool      // ever
	err          error     // of the latest call; nil after a success

	receivedAt atomic.Int64 // Unix milliseconds of the last receive that succeeded; 0 before the first
	receives   *prometheus.CounterVec
}

// NewConnectivity returns a Connectivity of a queue or stream that has not been read yet.
func NewConnectivity(registerer prometheus.Registerer) *Connectivity {
	with := promauto.With(registerer)
	c := &Connectivity{receives: with.NewCounterVec(prometheus.CounterOpts{
		Name: "blox_css_ingest_receives_total",
		Help: "Reads of the queue or stream by outcome: succeeded (with or without events) or failed.",
	}, []string{"outcome"})}
	for _, outcome := range []string{receiveSucceeded, receiveFailed} {
		c.receives.WithLabelValues(outcome)
	}
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "blox_css_ingest_unreadable_seconds",
		Help: "Time for which every read of the queue or stream has failed or not returned; 0 after a success.",
	}, func() float64 { return c.pendingFor().Seconds() })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "blox_css_ingest_last_receive_timestamp_seconds",
		Help: "Time of this replica's last successful receive, with or without events; 0 before the first.",
	}, func() float64 { return float64(c.receivedAt.Load()) / 1000 })
	return c
}

// Received records that a receive succeeded, with or without events.
func (c *Connectivity) Received() { c.receivedAt.Store(time.Now().UnixMilli()) }

// ReceivedAt returns when a receive last succeeded; zero before the first.
func (c *Connectivity) ReceivedAt() time.Time { return timeOf(&c.receivedAt) }

// Begin records the start of a call that waits for events.
func (c *Connectivity) Begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading++
	if c.pendingSince.IsZero() {
		c.pendingSince = time.Now()
	}
}

// End records the result of a call that Begin announced.
func (c *Connectivity) End(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading--
	first := c.err == nil
	c.err = err
	if err != nil {
		c.receives.WithLabelValues(receiveFailed).Inc()
		if first && !errors.Is(err, context.DeadlineExceeded) {
			c.pendingSince = time.Now() // until then, a receive that waits for events was not a failure
		}
		return
	}
	c.receives.WithLabelValues(receiveSucceeded).Inc()
	c.succeeded = true
	c.pendingSince = time.Time{}
	if c.reading > 0 {
		c.pendingSince = time.Now()
	}
}

// Observe records the result of a call that does not wait.
func (c *Connectivity) Observe(err error) {
	c.Begin()
	c.End(err)
}

// FailedFor reports whether there was no successful call for longer than limit.
func (c *Connectivity) FailedFor(limit time.Duration) bool { return c.pendingFor() > limit }

func (c *Connectivity) pendingFor() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pendingSince.IsZero() {
		return 0
	}
	return time.Since(c.pendingSince)
}

// Problem returns why the service does not receive events; "" if it does. A queue or stream that could never be read
// is a problem at once, because its name or the credentials may be wrong.
func (c *Connectivity) Problem() string {
	failed := c.FailedFor(unreadableLimit)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case failed:
		return fmt.Sprintf("the queue has not been readable for %d seconds: %s", unreadableLimit/time.Second, cause(c.err))
	case c.err != nil && !c.succeeded:
		return "the queue could not be read yet: " + cause(c.err)
	}
	return ""
}

// cause returns the part of an error that anyone may see; the log has all of it.
func cause(err error) string {
	var refused smithy.APIError
	switch {
	case errors.As(err, &refused):
		return refused.ErrorCode()
	case err == nil, errors.Is(err, context.DeadlineExceeded):
		return "no response"
	}
	return "the call failed; see the log"
}
