package ingest

import (
	"encoding/json"
	"slices"
	"time"
)

// shard is a part of a stream, open or closed.
type shard struct {
	id      string
	parents []string // one after a split, two after a merge
}

// checkpoint is how far a shard has been read, as JSON in the store.
type checkpoint struct {
	// SequenceNumber is that of the last record that was dealt with; empty when there was none.
	SequenceNumber string `json:"sequenceNumber,omitempty"`
	// Ended tells that the shard is closed and was read to its end.
	Ended bool `json:"ended,omitempty"`
	// StreamCreated tells the stream from an earlier one of the same name, whose shards had the same names.
	StreamCreated time.Time `json:"streamCreated"`
}

// readCheckpoint gives the zero checkpoint for what is another stream's or cannot be read: reading begins anew.
func readCheckpoint(value []byte, streamCreated time.Time) checkpoint {
	var c checkpoint
	if json.Unmarshal(value, &c) != nil || !c.StreamCreated.Equal(streamCreated) {
		return checkpoint{StreamCreated: streamCreated}
	}
	return c
}

// readable is the shards whose turn it is: not read to the end yet, and all parents are, or are too old to be listed. So
// an entity's events are read in order when its shard is split or merged.
func readable(shards []shard, checkpoints map[string]checkpoint) []string {
	listed := map[string]bool{}
	for _, s := range shards {
		listed[s.id] = true
	}
	unfinished := func(id string) bool { return listed[id] && !checkpoints[id].Ended }
	var ids []string
	for _, s := range shards {
		if unfinished(s.id) && !slices.ContainsFunc(s.parents, unfinished) {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// share tells which shards the replica called me should take and which give up, so that all replicas come to have as many
// shards each, give or take one, and none moves without need. holders is shard to replica. Every replica decides for
// itself; the locks settle what two of them want.
func share(shards []string, holders map[string]string, replicas []string, me string) (take, give []string) {
	names := slices.Sorted(slices.Values(replicas))
	rank, found := slices.BinarySearch(names, me)
	if !found {
		names = slices.Insert(names, rank, me)
	}
	fair := len(shards) / len(names)
	if rank < len(shards)%len(names) {
		fair++
	}
	var mine, free []string
	for _, s := range shards {
		switch holders[s] {
		case me:
			mine = append(mine, s)
		case "":
			free = append(free, s)
		}
	}
	if len(mine) > fair {
		return nil, mine[fair:]
	}
	return free[:min(fair-len(mine), len(free))], nil
}
