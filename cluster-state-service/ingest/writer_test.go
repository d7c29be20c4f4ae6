package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
)

func record(id string, version int64) state.Record {
	return state.Record{Key: state.Key{Kind: state.KindTask, Cluster: "prod", ARN: id}, Version: version}
}

func TestNextBatch_TakesNoKeyTwice(t *testing.T) {
	partition := make(chan pendingRecord, 10)
	for _, r := range []state.Record{record("b", 1), record("c", 1), record("a", 2), record("d", 1)} {
		partition <- pendingRecord{record: r}
	}
	batch, next := nextBatch(pendingRecord{record: record("a", 1)}, partition, 10)
	require.NotNil(t, next)
	assert.Equal(t, record("a", 2), next.record, "the next version waits for the next batch")
	assert.Len(t, batch, 3)
	batch, next = nextBatch(*next, partition, 10)
	assert.Nil(t, next)
	assert.Len(t, batch, 2)
}

func TestNextBatch_StopsAtTheBatchSize(t *testing.T) {
	partition := make(chan pendingRecord, 10)
	for i := range 5 {
		partition <- pendingRecord{record: record(fmt.Sprint(i), 1)}
	}
	batch, next := nextBatch(pendingRecord{record: record("a", 1)}, partition, 3)
	assert.Len(t, batch, 3)
	assert.Nil(t, next)
	assert.Len(t, partition, 3)
}

func TestOnceSet_RemembersABoundedNumber(t *testing.T) {
	const inFlight = 120_000 // messages of a queue, at most
	o := newOnceSet()
	for round := range 3 { // as the queue delivers them again
		for i := range inFlight {
			assert.Equal(t, round == 0, o.first(fmt.Sprint(i)))
		}
	}
	for i := range 5 * onceSetSize {
		o.first(fmt.Sprint("other", i))
		assert.LessOrEqual(t, len(o.recent)+len(o.older), 2*onceSetSize, "memory is bounded")
	}
	assert.True(t, o.first("0"), "forgotten")
}

func TestWriter_RetriesCommitWithGrowingDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, logged := test.NewNullLogger()
		recorder := &failingRecorder{failures: 20}
		writer := NewWriter(WriterConfig{Recorder: recorder, Partitions: 1, BatchSize: 10, Log: log})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { assert.NoError(t, writer.Run(ctx)) })
		committed := make(chan struct{})
		writer.partitions[0] <- pendingRecord{record("a", 1), func(outcome) { close(committed) }}
		<-committed
		cancel()
		running.Wait()

		attempts := recorder.attempts
		require.Len(t, attempts, 21)
		for _, records := range recorder.records {
			assert.Equal(t, []state.Record{record("a", 1)}, records)
		}
		assert.Less(t, attempts[1].Sub(attempts[0]), 200*time.Millisecond, "the first retry is quick")
		assert.Greater(t, attempts[20].Sub(attempts[19]), 4*time.Second, "later retries are rare")
		assert.Less(t, attempts[20].Sub(attempts[19]), 11*time.Second, "delays are bounded")
		entries := logged.AllEntries()
		assert.Less(t, len(entries), 8, "a persisting failure is logged at growing intervals")
		assert.Equal(t, "resumed recording events", entries[len(entries)-1].Message)
	})
}

// failingRecorder fails the given number of times.
type failingRecorder struct {
	failures int
	attempts []time.Time
	records  [][]state.Record
}

func (r *failingRecorder) Record(_ context.Context, records []state.Record) error {
	r.attempts = append(r.attempts, time.Now())
	r.records = append(r.records, records)
	if len(r.attempts) <= r.failures {
		return errors.New("etcd unavailable")
	}
	return nil
}
