package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

// regionVerifier verifies the events of one account and region.
type regionVerifier struct {
	*verifier
	wake chan struct{} // signals that events wait

	mu sync.Mutex
	// waiting are the events to verify. Those who deliver events wait for their outcome, which bounds the number.
	waiting []pendingEvent

	// The fields below belong to run.
	retry    *backoff.Backoff
	retryAt  time.Time // no call before then
	failures *logging.FailureLog
}

func newRegionVerifier(v *verifier, region state.Region) *regionVerifier {
	return &regionVerifier{
		verifier: v, wake: make(chan struct{}, 1), retry: backoff.New(firstVerifyDelay, longestVerifyDelay),
		failures: logging.NewFailureLog(v.log.WithFields(logrus.Fields{"account": region.Account, "region": region.Name}),
			"failed to verify old events with ECS; they are kept until ECS responds",
			"resumed verifying old events with ECS"),
	}
}

// add makes events wait for their verification. It does not block.
func (v *regionVerifier) add(events []pendingEvent) {
	v.mu.Lock()
	v.waiting = append(v.waiting, events...)
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// nextBatch returns the events that have waited the longest, up to verifyBatchSize.
func (v *regionVerifier) nextBatch() []pendingEvent {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := min(len(v.waiting), verifyBatchSize)
	batch := slices.Clone(v.waiting[:n])
	v.waiting = slices.Delete(v.waiting, 0, n)
	return batch
}

// run verifies events in batches until ctx ends.
func (v *regionVerifier) run(ctx context.Context) {
	for {
		select {
		case <-v.wake:
		case <-ctx.Done():
			return
		}
		for batch := v.nextBatch(); len(batch) > 0 && ctx.Err() == nil; batch = v.nextBatch() {
			for _, group := range groupByCluster(batch) {
				v.verify(ctx, group)
			}
		}
	}
}

// groupByCluster divides events into groups of one kind and cluster.
func groupByCluster(events []pendingEvent) map[state.Key][]pendingEvent {
	groups := map[state.Key][]pendingEvent{} // by a key without the entity
	for _, p := range events {
		group := state.Key{Kind: p.Key.Kind, Cluster: p.Key.ClusterARN()}
		groups[group] = append(groups[group], p)
	}
	return groups
}

// verify finishes events of one kind and cluster, or passes their records on.
func (v *regionVerifier) verify(ctx context.Context, events []pendingEvent) {
	if time.Now().Before(v.retryAt) {
		finishAll(events, outcomeDeferred)
		return
	}
	described, err := v.describe(ctx, events)
	switch {
	case errors.Is(err, state.ErrForeignCluster): // this replica cannot verify them
		for _, p := range events {
			v.record(ctx, p, p.Record)
		}
		return
	case err != nil:
		v.failures.Failed(err)
		v.retryAt = time.Now().Add(v.retry.Next())
		finishAll(events, outcomeDeferred)
		return
	}
	v.failures.Succeeded()
	v.retry.Reset()
	outdated := 0
	for _, p := range events {
		record, known := described.found[p.Key]
		switch {
		case known && record.Version < p.Version: // the event is newer than ECS's answer
			v.record(ctx, p, p.Record)
		case known:
			v.record(ctx, p, record)
		case described.missing[p.Key.ARN] && described.at.Sub(p.ChangedAt) > consistencyPeriod:
			p.finish(outcomeOutdated)
			outdated++
		default:
			p.finish(outcomeDeferred)
		}
	}
	if outdated > 0 {
		v.log.WithFields(logrus.Fields{
			"cluster": events[0].Key.ClusterARN(), "kind": string(events[0].Key.Kind), "events": outdated,
		}).Info("old events dropped, because ECS does not know their entities")
	}
}

// description is ECS's response about the entities of events.
type description struct {
	found   map[state.Key]state.Record
	missing map[string]bool // by ARN
	at      time.Time       // by ECS's clock
}

// describe reads the events' entities from ECS.
func (v *regionVerifier) describe(ctx context.Context, events []pendingEvent) (description, error) {
	var arns []string
	for _, p := range events {
		arns = append(arns, p.Key.ARN)
	}
	slices.Sort(arns)
	arns = slices.Compact(arns)
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	first := events[0].Key
	response, err := v.Describer.Describe(ctx, first.Kind, first.ClusterARN(), arns)
	if err != nil {
		return description{}, fmt.Errorf("verify %d events of %s: %w", len(events), first.ClusterARN(), err)
	}
	d := description{map[state.Key]state.Record{}, map[string]bool{}, response.At}
	for _, r := range response.Found {
		d.found[r.Key] = r
	}
	for _, arn := range response.Missing {
		d.missing[arn] = true
	}
	return d, nil
}

// record passes a record to its partition in place of an event.
func (v *regionVerifier) record(ctx context.Context, p pendingEvent, r state.Record) {
	_ = v.enqueue(ctx, pendingRecord{r, p.finish}) // if ctx has ended, so has the wait for the event
}

func finishAll(events []pendingEvent, o outcome) {
	for _, p := range events {
		p.finish(o)
	}
}
