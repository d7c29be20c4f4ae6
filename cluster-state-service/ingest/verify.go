package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

const (
	verifyTimeout   = 5 * time.Second // of one Describe call, its wait for the API budget included
	verifyBatchSize = 100             // events, and so ARNs in one Describe call at most
	// After a failed call, events are deferred without another call for a time that doubles between these two.
	firstVerifyDelay   = time.Second
	longestVerifyDelay = 30 * time.Second
	// consistencyPeriod is the age from which on an event's entity counts as gone if ECS reports it as missing: ECS is
	// eventually consistent. The age is that at the response, by ECS's clock: this machine's clock may be wrong. Source:
	// "API eventual consistency" in the Amazon ECS API Reference.
	consistencyPeriod = 5 * time.Minute
	timeResolution    = time.Second // of the times in events
)

// Describer reads entities from ECS. reconcile.Reconciler implements it.
type Describer interface {
	// Describe returns ECS's response about entities of one kind and cluster. An error wraps state.ErrForeignCluster if
	// this replica cannot read the cluster.
	Describe(ctx context.Context, kind state.Kind, clusterARN string, arns []string) (state.Description, error)
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
	events  chan pendingEvent
	enqueue func(context.Context, pendingRecord) error
	log     logrus.FieldLogger
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
		Verification: v, events: make(chan pendingEvent, verifyBatchSize), enqueue: enqueue, log: log,
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

// run passes events to a verifier of each account and region until ctx ends: no account waits for the ECS of another.
func (v *verifier) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	regions := map[state.Region]*regionVerifier{}
	for {
		select {
		case first := <-v.events:
			for region, events := range groupByRegion(nextEvents(first, v.events)) {
				of := regions[region]
				if of == nil {
					of = newRegionVerifier(v, region)
					regions[region] = of
					running.Go(func() { of.run(ctx) })
				}
				of.add(events)
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

// groupByRegion divides events by the account and region of their clusters.
func groupByRegion(events []pendingEvent) map[state.Region][]pendingEvent {
	groups := map[state.Region][]pendingEvent{}
	for _, p := range events {
		cluster, _ := arn.Parse(p.Key.ClusterARN()) // decode accepts no malformed key
		groups[state.RegionOf(cluster)] = append(groups[state.RegionOf(cluster)], p)
	}
	return groups
}
