package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

// freshness holds the values of the headers that describe a snapshot.
type freshness struct {
	revision        int64
	reconciliations *cache.Reconciliations
	sources         []state.Source
	version         []string // header value of revision
	reconciledAt    []string // header value; nil before the first reconciliation
	etags           listETags
	progress        state.IngestProgress // in whole seconds
	receivedAt      []string             // header value; nil before the first receive
	newestEventAt   []string             // header value; nil before the first event
}

// reconciledSnapshot returns the current state, or one that is at most maxStaleness old. If an answer about the
// clusters that match could lack records, it returns an error that wraps state.ErrNotReconciled or
// state.ErrClusterNotReconciled.
func (a *api) reconciledSnapshot(
	ctx context.Context, clusters state.ClusterFilter, maxStaleness time.Duration,
) (*cache.Snapshot, error) {
	s, err := a.cache.Recent(ctx, maxStaleness)
	if err != nil {
		return nil, err
	}
	return s, s.Reconciliations.Check(a.sources(), clusters)
}

// freshness computes the header values once for each revision and second, as many answers share one. It does not retain
// the snapshot.
func (a *api) freshness(s *cache.Snapshot) *freshness {
	progress := a.progress()
	progress.ReceivedAt = progress.ReceivedAt.Truncate(time.Second)
	progress.NewestEventAt = progress.NewestEventAt.Truncate(time.Second)
	sources := a.sources()
	f := a.freshest.Load()
	if f != nil && f.revision == s.Revision && f.reconciliations == s.Reconciliations && f.progress == progress &&
		slices.Equal(f.sources, sources) {
		return f
	}
	f = &freshness{
		revision: s.Revision, reconciliations: s.Reconciliations, sources: sources,
		version: []string{strconv.FormatInt(s.Revision, 10)}, etags: newListETags(s),
		progress: progress, receivedAt: headerTime(progress.ReceivedAt),
		newestEventAt: headerTime(progress.NewestEventAt),
	}
	f.reconciledAt = headerTime(s.Reconciliations.At(sources))
	a.freshest.Store(f)
	return f
}

// setFreshness sets the headers that describe the snapshot.
func (a *api) setFreshness(h http.Header, s *cache.Snapshot) {
	f := a.freshness(s)
	h["Blox-Entity-Version"] = f.version
	if f.reconciledAt != nil {
		h["Blox-Reconciled-At"] = f.reconciledAt
	}
	if f.receivedAt != nil {
		h["Blox-Received-At"] = f.receivedAt
	}
	if f.newestEventAt != nil {
		h["Blox-Newest-Event-At"] = f.newestEventAt
	}
}

// headerTime returns the header value of a time; nil if it is zero.
func headerTime(at time.Time) []string {
	if at.IsZero() {
		return nil
	}
	return []string{state.Timestamp(at)}
}
