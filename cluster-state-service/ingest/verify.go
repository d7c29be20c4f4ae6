package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
)

const (
	verifyTimeout   = 5 * time.Second // of one Describe call, its wait for the API budget included
	verifyBatchSize = 100             // events, and so ARNs in one Describe call at most
	// After a failed call, events are deferred without another call for a time that doubles between these two.
	firstVerifyDelay   = time.Second
	longestVerifyDelay = 30 * time.Second
	// consistencyPeriod is the age from which on an event's entity counts as gone if ECS reports it as missing: ECS is
	// eventually consistent. Source: "API eventual consistency" in the Amazon ECS API Reference.
	consistencyPeriod = 5 * time.Minute
	timeResolution    = time.Second // of the times in events
)

// Describer reads entities from ECS. reconcile.Reconciler implements it.
type Describer interface {
	// Describe returns the records of the entities that ECS knows, and the ARNs of those that it reports as missing. All
	// are of one kind and cluster. An error wraps state.ErrForeignCluster if this
	// replica cannot read the cluster.
	Describe(
		ctx context.Context, kind state.Kind, clusterARN string, arns []string,
	) (found []state.Record, missing []string, err error)
}

// Verification holds the sources that verify old events of unknown entities.
type Verification struct {
	Describer Describer // nil verifies nothing
	// StoredVersion returns the version that is probably stored under a key.
	StoredVersion func(state.Key) state.StoredVersion
	// ReconciledAt returns when the last complete reconciliation of a cluster began; zero if there was none.
	ReconciledAt func(clusterARN string) time.Time
}

// verifier verifies events with ECS whose entities may be long gone: archives and dead-letter queues replay events days
// later. It stores ECS's answer in their place. Errors of ECS neither block nor lose events: the events are deferred.
type verifier struct {
	Verification
	events   chan pendingEvent
	enqueue  func(context.Context, pendingRecord) error
	retry    *backoff.Backoff
	retryAt  time.Time // no call before then
	failures *logging.FailureLog
	log      logrus.FieldLogger
}

// pendingEvent is an event that waits for its verification.
type pendingEvent struct {
	Event
	finish func(outcome)
}

func newVerifier(
	v Verification, enqueue func(context.Context, pendingRecord) error, log logrus.FieldLogger,
) *verifier {
	return &verifier{
		Verification: v, events: make(chan pendingEvent, verifyBatchSize), enqueue: enqueue,
		retry: backoff.New(firstVerifyDelay, longestVerifyDelay), log: log,
		failures: logging.NewFailureLog(log, "failed to verify old events with ECS; they are kept until ECS answers",
			"verifying old events with ECS again"),
	}
}

// doubts reports whether an event has to be verified: it says that an entity lives that is not stored, and it is older
// than the last reconciliation, which did not find the entity.
func (v *verifier) doubts(e Event) bool {
	if v.Describer == nil || !e.Live || e.ChangedAt.IsZero() {
		return false
	}
	latest := e.ChangedAt.Add(timeResolution)
	return v.StoredVersion(e.Key).Revision == 0 && latest.Before(v.ReconciledAt(e.Key.ClusterARN()))
}

// run verifies events in batches until ctx ends.
func (v *verifier) run(ctx context.Context) {
	for {
		select {
		case first := <-v.events:
			for _, group := range groupByCluster(nextEvents(first, v.events)) {
				v.verify(ctx, group)
			}
		case <-ctx.Done():
			return
		}
	}
}

// nextEvents returns first and the events that wait, up to verifyBatchSize.
func nextEvents(first pendingEvent, events <-chan pendingEvent) []pendingEvent {
	batch := []pendingEvent{first}
	for len(batch) < verifyBatchSize {
		select {
		case p := <-events:
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
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
func (v *verifier) verify(ctx context.Context, events []pendingEvent) {
	if time.Now().Before(v.retryAt) {
		finishAll(events, outcomeDeferred)
		return
	}
	found, missing, err := v.describe(ctx, events)
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
		record, known := found[p.Key]
		switch {
		case known && record.Version < p.Version: // the event is newer than ECS's answer
			v.record(ctx, p, p.Record)
		case known:
			v.record(ctx, p, record)
		case missing[p.Key.ARN] && time.Since(p.ChangedAt) > consistencyPeriod:
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

// describe reads the events' entities from ECS. It returns them by key, and the ARNs of those that ECS does not know.
func (v *verifier) describe(
	ctx context.Context, events []pendingEvent,
) (found map[state.Key]state.Record, missing map[string]bool, err error) {
	var arns []string
	for _, p := range events {
		arns = append(arns, p.Key.ARN)
	}
	slices.Sort(arns)
	arns = slices.Compact(arns)
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	first := events[0].Key
	records, unknown, err := v.Describer.Describe(ctx, first.Kind, first.ClusterARN(), arns)
	if err != nil {
		return nil, nil, fmt.Errorf("verify %d events of %s: %w", len(events), first.ClusterARN(), err)
	}
	found, missing = map[state.Key]state.Record{}, map[string]bool{}
	for _, r := range records {
		found[r.Key] = r
	}
	for _, arn := range unknown {
		missing[arn] = true
	}
	return found, missing, nil
}

// record passes a record to its partition in place of an event.
func (v *verifier) record(ctx context.Context, p pendingEvent, r state.Record) {
	_ = v.enqueue(ctx, pendingRecord{r, p.finish}) // if ctx has ended, so has the wait for the event
}

func finishAll(events []pendingEvent, o outcome) {
	for _, p := range events {
		p.finish(o)
	}
}
