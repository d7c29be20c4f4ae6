package kinesis

import (
	"context"
	"time"

	"github.com/blox/blox/cluster-state-service/ingest"
)

const (
	// maxUndecided bounds the old events that a reader keeps for ECS to verify. Beyond it, the reader waits.
	maxUndecided   = maxRecords
	decideInterval = 2 * time.Second
)

// undecidedRecord is an old event that ECS has not verified yet. A stream delivers no record twice, so the checkpoint
// stays before it, and later records are read meanwhile.
type undecidedRecord struct {
	ingest.Message
	after string // sequence number of the record before it; empty if it is the first that was read
}

// decide writes the undecided records again, if it is time, and moves the checkpoint past those that are decided. It
// reports whether this replica may go on reading.
func (r *shardReader) decide(ctx context.Context) bool {
	if len(r.undecided) == 0 || time.Now().Before(r.decideAt) {
		return true
	}
	messages := make([]ingest.Message, len(r.undecided))
	for n, u := range r.undecided {
		messages[n] = u.Message
	}
	result, err := r.writer.Write(ctx, messages)
	if err != nil {
		return false
	}
	r.decideAt = time.Now().Add(decideInterval)
	if len(result.Deferred) == len(messages) {
		return true
	}
	deferred := ids(result.Deferred)
	var remaining []undecidedRecord
	for _, u := range r.undecided {
		if deferred[u.ID] {
			remaining = append(remaining, u)
		}
	}
	r.undecided = remaining
	return r.checkpoint(ctx, false)
}

// ids returns the set of the messages' IDs.
func ids(messages []ingest.Message) map[string]bool {
	set := make(map[string]bool, len(messages))
	for _, m := range messages {
		set[m.ID] = true
	}
	return set
}
