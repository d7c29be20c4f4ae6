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

func TestGatherNeverTakesAKeyTwice(t *testing.T) {
	lane := make(chan pending, 10)
	for _, r := range []state.Record{record("b", 1), record("c", 1), record("a", 2), record("d", 1)} {
		lane <- pending{record: r}
	}
	group, held := gather(pending{record: record("a", 1)}, lane, 10)
	require.NotNil(t, held)
	assert.Equal(t, record("a", 2), held.record, "the next version waits for the next batch")
	assert.Len(t, group, 3)
	group, held = gather(*held, lane, 10)
	assert.Nil(t, held)
	assert.Len(t, group, 2)
}

func TestGatherStopsAtTheMost(t *testing.T) {
	lane := make(chan pending, 10)
	for i := range 5 {
		lane <- pending{record: record(fmt.Sprint(i), 1)}
	}
	group, held := gather(pending{record: record("a", 1)}, lane, 3)
	assert.Len(t, group, 3)
	assert.Nil(t, held)
	assert.Len(t, lane, 3)
}

func TestOnceEach(t *testing.T) {
	var o onceEach
	assert.True(t, o.first("a"))
	assert.False(t, o.first("a"))
	assert.True(t, o.first("b"))
	for i := range 2000 {
		o.first(fmt.Sprint(i))
	}
	assert.LessOrEqual(t, len(o.seen), 1000, "memory is bounded")
}

// A store that fails is tried again, later and later, with the same records.
func TestCommitTriesUntilTheStoreIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := test.NewNullLogger()
		lane := make(chan pending, 10)
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var tries []time.Duration
		store := func(_ context.Context, records []state.Record) error {
			assert.Equal(t, []state.Record{record("a", 1)}, records)
			if tries = append(tries, time.Since(start)); len(tries) <= 20 {
				return errors.New("etcd is away")
			}
			return nil
		}
		var running sync.WaitGroup
		running.Go(func() { commit(ctx, lane, store, log, 10) })
		committed := make(chan struct{})
		lane <- pending{record("a", 1), func() { close(committed) }}
		<-committed
		assert.Less(t, tries[1], 200*time.Millisecond, "soon at first")
		assert.Greater(t, tries[20]-tries[19], 4*time.Second, "then more seldom")
		assert.Less(t, tries[20]-tries[19], 11*time.Second, "but never too late")
		cancel()
		running.Wait()
	})
}
