package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// eventSinkPrefix begins the keys of delivery positions.
const eventSinkPrefix = "ecs/event-sink/"

// ReadDelivered reads how far events have been sent to a sink into delivered, and returns the record's version; 0 if
// there is no record.
func (s *Store) ReadDelivered(ctx context.Context, sink string, delivered any) (version int64, err error) {
	got, err := s.client.Get(ctx, eventSinkPrefix+sink)
	if err != nil {
		return 0, fmt.Errorf("get the position of event sink %s: %w", sink, classify(err))
	}
	if len(got.Kvs) == 0 {
		return 0, nil
	}
	if err := json.Unmarshal(got.Kvs[0].Value, delivered); err != nil {
		return 0, fmt.Errorf("decode the position of event sink %s: %w", sink, err)
	}
	return got.Kvs[0].ModRevision, nil
}

// CommitDelivered writes how far events have been sent to a sink and returns the record's version. Its errors are those
// of Commit.
func (s *Store) CommitDelivered(
	ctx context.Context, term Term, sink string, delivered any, version int64,
) (int64, error) {
	t := transaction{what: "the position of event sink " + sink}
	t.put(eventSinkPrefix+sink, version, delivered)
	return s.transact(ctx, term, t)
}
