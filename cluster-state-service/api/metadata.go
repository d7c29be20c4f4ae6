package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

// freshness holds the values of the headers that describe a snapshot.
type freshness struct {
	revision     int64
	finishedAt   time.Time // of the last reconciliation
	version      []string  // header value of revision
	reconciledAt []string  // header value of finishedAt; nil before the first reconciliation
}

// reconciledSnapshot returns the current state. Before the first reconciliation it returns state.ErrNotReconciled: an
// answer could lack any record.
func (a *api) reconciledSnapshot(ctx context.Context) (*cache.Snapshot, error) {
	s, err := a.cache.WaitCurrent(ctx)
	if err != nil {
		return nil, err
	}
	if a.freshness(s).reconciledAt == nil {
		return nil, state.ErrNotReconciled
	}
	return s, nil
}

// freshness computes the header values once for each revision, as many answers share one. It does not retain
// the snapshot.
func (a *api) freshness(s *cache.Snapshot) *freshness {
	finishedAt := s.LastReconciliation(a.region).FinishedAt
	if f := a.freshest.Load(); f != nil && f.revision == s.Revision && f.finishedAt.Equal(finishedAt) {
		return f
	}
	f := &freshness{
		revision: s.Revision, finishedAt: finishedAt,
		version: []string{strconv.FormatInt(s.Revision, 10)},
	}
	if !finishedAt.IsZero() {
		f.reconciledAt = []string{state.Timestamp(finishedAt)}
	}
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
}
