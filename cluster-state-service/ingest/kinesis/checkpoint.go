package kinesis

import (
	"encoding/json"
	"time"
)

// checkpoint says how far a shard has been read. The store holds it as JSON.
type checkpoint struct {
	// SequenceNumber is that of the last record that was recorded or skipped; empty if there was none.
	SequenceNumber string `json:"sequenceNumber,omitempty"`
	// Ended reports that the shard is closed and was read to its end.
	Ended bool `json:"ended,omitempty"`
	// StreamCreated distinguishes the stream from earlier ones of the same name, whose shards had the same names.
	StreamCreated time.Time `json:"streamCreated"`
}

// parseCheckpoint returns the checkpoint in value. For a malformed checkpoint, or one of an earlier stream, it
// returns a checkpoint at the beginning of the shard.
func parseCheckpoint(value []byte, streamCreated time.Time) checkpoint {
	var c checkpoint
	if json.Unmarshal(value, &c) != nil || !c.StreamCreated.Equal(streamCreated) {
		return checkpoint{StreamCreated: streamCreated}
	}
	return c
}
