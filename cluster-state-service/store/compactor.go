package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

const (
	sampleInterval = 10 * time.Second
	// maxHistoryRecords bounds etcd's history at full event rate: a record takes about 4 kB.
	maxHistoryRecords = 300_000
)

// pruneInterval is the time between two prunes of the tombstones.
const pruneInterval = 20 * time.Minute

// Compactor compacts etcd's history, which grows by some kilobytes a record and would fill etcd within minutes at
// full event rate. A stream can resume at any revision that is not compacted. It also prunes expired tombstones.
type Compactor struct {
	store    *Store
	history  time.Duration
	progress func(context.Context) (revision, changes int64, err error)
	failures *logging.FailureLog
}

// NewCompactor returns a Compactor that keeps etcd's history of the given duration, or less if it holds more than
// maxHistoryRecords records. With a history of 0 it leaves compaction to etcd. progress returns etcd's current
// revision and the number of records written by then.
func (s *Store) NewCompactor(
	history time.Duration, progress func(context.Context) (revision, changes int64, err error), log logrus.FieldLogger,
) *Compactor {
	return &Compactor{
		store: s, history: history, progress: progress,
		failures: logging.NewFailureLog(log, "failed to compact etcd; retrying", "resumed compacting etcd"),
	}
}

// sample is etcd's revision at a time, and the number of records written by then.
type sample struct {
	at       time.Time
	revision int64
	changes  int64
}

// Run compacts until ctx ends. Only one replica should run it: several compactors would repeat each other's work.
func (c *Compactor) Run(ctx context.Context) {
	var pruning sync.WaitGroup
	defer pruning.Wait()
	pruning.Go(func() { c.prune(ctx) })
	if c.history <= 0 {
		return
	}
	var samples []sample
	var compacted int64
	for backoff.Sleep(ctx, sampleInterval) {
		revision, changes, err := c.progress(ctx)
		if err != nil {
			continue // etcd does not respond, which its readers log
		}
		samples = append(samples, sample{time.Now(), revision, changes})
		var target int64
		target, samples = compactionTarget(samples, c.history)
		if target <= compacted {
			continue
		}
		if err := c.store.Compact(ctx, target); err != nil {
			c.failures.Failed(err)
			continue
		}
		c.failures.Succeeded()
		compacted = target
	}
}

// prune prunes tombstones at intervals until ctx ends. A failure means that etcd does not respond, which others log.
func (c *Compactor) prune(ctx context.Context) {
	for ctx.Err() == nil {
		_, _ = c.store.pruneTombstones(ctx, time.Now())
		backoff.Sleep(ctx, pruneInterval)
	}
}

// compactionTarget returns the revision to compact to, 0 for none yet, and the samples that are still needed.
func compactionTarget(samples []sample, history time.Duration) (int64, []sample) {
	newest := samples[len(samples)-1]
	expired := func(s sample) bool {
		return newest.at.Sub(s.at) >= history || newest.changes-s.changes >= maxHistoryRecords
	}
	last := -1
	for last+1 < len(samples) && expired(samples[last+1]) {
		last++
	}
	if last < 0 {
		return 0, samples
	}
	return samples[last].revision, samples[last:]
}

// Compact discards etcd's history before the revision; the values at the revision stay. It succeeds if another
// replica has compacted that far already.
func (s *Store) Compact(ctx context.Context, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if _, err := s.client.Compact(ctx, revision); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("compact to revision %d: %w", revision, err)
	}
	return nil
}
