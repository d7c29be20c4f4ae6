package ingest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	// maxUndecided bounds the messages that a consumer keeps. Beyond it, messages return to the queue.
	maxUndecided      = 1000
	undecidedInterval = 2 * time.Second // between two attempts to decide them
	// heldVisibility is how long the queue does not deliver a kept message; it is extended every extendInterval. After a
	// crash, another replica receives the message once it has passed.
	heldVisibility = 2 * time.Minute
	extendInterval = time.Minute
)

// undecided keeps messages whose events ECS has not verified yet. The queue would deliver them again and again, and
// its redrive policy would move them to the dead-letter queue.
type undecided struct {
	mu       sync.Mutex
	messages map[string]heldMessage // by ID
}

type heldMessage struct {
	Message
	extendAt time.Time
}

// add keeps messages, as far as there is room, and returns those: their visibility is to be extended now. A message
// that the queue has delivered again replaces the earlier one, whose receipt handle may be invalid.
func (u *undecided) add(messages []Message) (kept []Message) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, m := range messages {
		if _, held := u.messages[m.ID]; held || len(u.messages) < maxUndecided {
			u.messages[m.ID] = heldMessage{m, time.Now().Add(extendInterval)}
			kept = append(kept, m)
		}
	}
	return kept
}

// all returns the messages, and those whose visibility is to be extended now.
func (u *undecided) all() (all, extend []Message) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	for id, m := range u.messages {
		all = append(all, m.Message)
		if now.After(m.extendAt) {
			extend = append(extend, m.Message)
			m.extendAt = now.Add(extendInterval)
			u.messages[id] = m
		}
	}
	return all, extend
}

// remove forgets messages that are decided.
func (u *undecided) remove(messages []Message) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, m := range messages {
		delete(u.messages, m.ID)
	}
}

// decide writes the kept messages again until ctx ends, deletes those that are decided, and keeps the others invisible.
func (c *Consumer) decide(ctx context.Context) {
	for backoff.Sleep(ctx, undecidedInterval) {
		all, extend := c.undecided.all()
		for batch := range slices.Chunk(extend, maxMessages) {
			c.extend(ctx, batch)
		}
		for batch := range slices.Chunk(all, maxMessages) {
			result, err := c.Writer.Write(ctx, batch)
			if err != nil {
				return
			}
			c.finish(ctx, result.Done)
		}
	}
}

// extend keeps messages invisible. If that fails, the queue delivers them again, which does no harm.
func (c *Consumer) extend(ctx context.Context, messages []Message) {
	err := c.Queue.Extend(ctx, messages, heldVisibility)
	switch {
	case err == nil:
		c.extendFailures.Succeeded()
	case ctx.Err() == nil:
		c.extendFailures.Failed(err)
	}
}
