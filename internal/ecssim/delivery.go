package ecssim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Targets of the events' rule.
const (
	targetQueue  = "queue"
	targetStream = "stream"
)

// Limits of a target's retry policy and its defaults. Source: RetryPolicy in the Amazon EventBridge API Reference.
const (
	minRetryAge     = time.Minute
	maxRetryAge     = 24 * time.Hour
	maxRetries      = 185
	retryBackoff    = time.Second // the first wait; AWS publishes neither it nor the growth
	maxBackoffSteps = 720         // that the longest wait is of the first one: 185 retries take a day or a bit more
)

// DeliveryFaults make EventBridge fail to deliver events to the targets of its rule. It retries a delivery for up to 24
// hours and 185 times, with growing waits, while later events overtake it. Then it sends the event to the dead-letter
// queue, if there is one.
type DeliveryFaults struct {
	Fail float64 `json:"fail,omitempty"` // fraction of the attempts that fail
	// Late is the fraction of the attempts that reach the target although EventBridge takes them for failed: the retry
	// delivers the event again.
	Late float64 `json:"late,omitempty"`
	// Target is the only target whose deliveries fail, queue or stream; both when empty.
	Target string `json:"target,omitempty"`
	// Permanent makes a failure final, as without permission for the target: there is no retry.
	Permanent bool   `json:"permanent,omitempty"`
	Code      string `json:"code,omitempty"` // shown in the dead-letter queue; SDK_CLIENT_ERROR when empty
}

func (f DeliveryFaults) validate() error {
	if !slices.Contains([]string{"", targetQueue, targetStream}, f.Target) {
		return fmt.Errorf("delivery: target %.100q is not queue or stream", f.Target)
	}
	return nil
}

// ValidateRetries checks Config.RetryAge and Config.Retries.
func (c Config) ValidateRetries() error {
	if c.RetryAge != 0 && (c.RetryAge < minRetryAge || c.RetryAge > maxRetryAge) {
		return fmt.Errorf("retry age %s: must be from %s to %s", c.RetryAge, minRetryAge, maxRetryAge)
	}
	if c.Retries > maxRetries {
		return fmt.Errorf("retries %d: must be at most %d", c.Retries, maxRetries)
	}
	return nil
}

// delivery is an event on its way to a target.
type delivery struct {
	target   string
	resource string // the partition key in a stream
	body     []byte
	since    time.Time
	retries  int
}

// deliver sends an event to its target, or retries it later.
func (s *Sim) deliver(d delivery) {
	f := s.faults.Delivery
	concerned := f.Target == "" || f.Target == d.target
	if concerned && s.draws.hit("delivery", d.target, f.Fail) {
		s.deliveryFailed(d)
		return
	}
	switch d.target {
	case targetQueue:
		s.counters.events.Sent++
		s.events.send(string(d.body))
	case targetStream:
		s.stream.put(d.resource, nil, d.body)
	}
	if concerned && s.draws.hit("late delivery", d.target, f.Late) {
		s.deliveryFailed(d)
	}
}

func (s *Sim) deliveryFailed(d delivery) {
	s.counters.events.Failed++
	wait := s.retryWait(d)
	switch {
	case s.faults.Delivery.Permanent:
		s.deadLetter(d, "")
	case d.retries >= s.cfg.Retries:
		s.deadLetter(d, "MaximumRetryAttempts")
	case time.Since(d.since)+wait > s.cfg.RetryAge:
		s.deadLetter(d, "MaximumEventAgeInSeconds")
	default:
		d.retries++
		s.schedule(wait, func() { s.deliver(d) })
	}
}

// retryWait returns the wait before the next retry: it doubles each time up to a limit, less up to half by chance.
func (s *Sim) retryWait(d delivery) time.Duration {
	steps := 1 << min(d.retries, 30)
	wait := s.cfg.RetryBackoff * time.Duration(min(steps, maxBackoffSteps))
	return wait/2 + time.Duration(s.draws.float("retry", d.target)*float64(wait/2))
}

// deadLetter ends a delivery. The attributes are those of EventBridge's dead letters; exhausted is the limit of the
// retry policy that was reached, or "".
func (s *Sim) deadLetter(d delivery, exhausted string) {
	if s.deadLetters == nil {
		s.counters.events.Undelivered++
		return
	}
	s.counters.events.DeadLettered++
	arn := s.events.arn
	if d.target == targetStream {
		arn = s.stream.arn
	}
	attributes := map[string]messageAttribute{}
	for name, value := range map[string]string{
		"RULE_ARN":   "arn:" + s.cfg.Partition + ":events:" + s.cfg.Region + ":" + s.cfg.Account + ":rule/ecs",
		"TARGET_ARN": arn, "ERROR_CODE": cmp.Or(s.faults.Delivery.Code, "SDK_CLIENT_ERROR"),
		"ERROR_MESSAGE": "The target did not accept the event.", "EXHAUSTED_RETRY_CONDITION": exhausted,
		"RETRY_ATTEMPTS": strconv.Itoa(d.retries),
	} {
		if value != "" {
			attributes[name] = messageAttribute{DataType: "String", StringValue: value}
		}
	}
	s.deadLetters.put(newMessage(string(d.body), attributes), -1)
}
