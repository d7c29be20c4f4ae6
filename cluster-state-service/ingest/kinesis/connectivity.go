package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

var errOutOfReach = errors.New("the stream cannot be read from here, so its shards are left to the other replicas")

// reach tells since when this replica has read nothing of the stream though it tried. What waits for the store is not trying.
type reach struct {
	mu      sync.Mutex
	failing time.Time // since then; zero while all is well
}

// note takes in how a read went. A refusal that any reader would get says that the stream is in reach.
func (r *reach) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil, isThrottled(err), isExpired(err):
		r.failing = time.Time{}
	case r.failing.IsZero():
		r.failing = time.Now()
	}
}

// lost tells whether nothing could be read for so long.
func (r *reach) lost(patience time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.failing.IsZero() && time.Since(r.failing) > patience
}

// probe reads a record of some shard, or tells why that cannot be done: who cannot read has no part in the shards.
func (s stream) probe(ctx context.Context) error {
	all, err := s.shards(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	iterator, err := s.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: &s.name, ShardId: &all[len(all)-1].id, ShardIteratorType: types.ShardIteratorTypeLatest,
	}, once)
	if err == nil {
		_, err = s.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator.ShardIterator, Limit: aws.Int32(1)}, once)
	}
	if err == nil || isThrottled(err) {
		return nil
	}
	return fmt.Errorf("try to read stream %s: %w", s.name, err)
}
