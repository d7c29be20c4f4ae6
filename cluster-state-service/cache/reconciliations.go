package cache

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// Reconciliations are the recorded reconciliations of all clusters. They are immutable.
type Reconciliations struct {
	// NotReconciled has the ARNs of the known clusters that were never reconciled, in order. Their records are
	// incomplete.
	NotReconciled []string

	clusters map[string]state.Reconciliation // by ARN
	pending  []pendingCluster                // those of NotReconciled
	regions  map[state.Region]regionReconciliation
}

// regionReconciliation summarizes a region that is or was reconciled.
type regionReconciliation struct {
	settledAt time.Time // when the last reconciliation of the whole region ended; zero before the first
	oldest    time.Time // the earliest FinishedAt of its reconciled clusters; zero if there is none
}

// pendingCluster is a cluster that was never reconciled.
type pendingCluster struct {
	arn.ARN
	state.Reconciliation
}

func newReconciliations(metadata map[string]MetadataKey) *Reconciliations {
	r := &Reconciliations{
		clusters: map[string]state.Reconciliation{}, regions: map[state.Region]regionReconciliation{},
	}
	for key, m := range metadata {
		place, found := strings.CutPrefix(key, state.ReconcilePrefix)
		if !found {
			continue
		}
		account, place, _ := strings.Cut(place, "/")
		name, clusterName, ofCluster := strings.Cut(place, "/")
		region := state.Region{Account: account, Name: name}
		known := r.regions[region]
		if !ofCluster {
			known.settledAt = m.Reconciled.FinishedAt
			r.regions[region] = known
			continue
		}
		cluster, err := arn.ParseKind(m.Reconciled.Cluster, arn.Cluster)
		if err != nil || cluster.Cluster != clusterName { // malformed
			continue
		}
		r.clusters[m.Reconciled.Cluster] = m.Reconciled
		finishedAt := m.Reconciled.FinishedAt
		switch {
		case finishedAt.IsZero():
			r.pending = append(r.pending, pendingCluster{cluster, m.Reconciled})
		case known.oldest.IsZero(), finishedAt.Before(known.oldest):
			known.oldest = finishedAt
		}
		r.regions[region] = known
	}
	slices.SortFunc(r.pending, func(a, b pendingCluster) int {
		return cmp.Compare(a.Reconciliation.Cluster, b.Reconciliation.Cluster)
	})
	for _, p := range r.pending {
		r.NotReconciled = append(r.NotReconciled, p.Reconciliation.Cluster)
	}
	return r
}

// Of returns the reconciliation of a cluster; zero if the cluster is unknown.
func (r *Reconciliations) Of(clusterARN string) state.Reconciliation { return r.clusters[clusterARN] }

// Clusters yields the ARNs of all clusters that were reconciled, or are to be.
func (r *Reconciliations) Clusters() iter.Seq[string] { return maps.Keys(r.clusters) }

// resolve completes a region whose account is unknown: until ECS shows it, it is taken for the only account whose
// reconciliations of that region are recorded.
func (r *Reconciliations) resolve(region state.Region) state.Region {
	if region.Account != "" {
		return region
	}
	var accounts []string
	for known := range r.regions {
		if known.Name == region.Name {
			accounts = append(accounts, known.Account)
		}
	}
	if len(accounts) == 1 {
		region.Account = accounts[0]
	}
	return region
}

// At returns the time since when every cluster of a region was reconciled, but for NotReconciled. It is zero until
// each was reconciled or has failed several times.
func (r *Reconciliations) At(region state.Region) time.Time {
	known := r.regions[r.resolve(region)]
	if known.settledAt.IsZero() || known.oldest.IsZero() {
		return known.settledAt // it has no clusters
	}
	return known.oldest
}

// settled returns state.ErrNotReconciled until every cluster of the region was reconciled or has failed several times.
func (r *Reconciliations) settled(region state.Region) error {
	if r.regions[r.resolve(region)].settledAt.IsZero() {
		return state.ErrNotReconciled
	}
	return nil
}

// Oldest returns, by region, when the cluster whose reconciliation is the least recent was reconciled.
func (r *Reconciliations) Oldest() map[string]time.Time {
	oldest := map[string]time.Time{}
	for region, known := range r.regions {
		of := oldest[region.Name] // of another account
		if !known.oldest.IsZero() && (of.IsZero() || known.oldest.Before(of)) {
			oldest[region.Name] = known.oldest
		}
	}
	return oldest
}

// Check returns an error if an answer about the clusters that match could lack records. The error wraps
// state.ErrNotReconciled, or is a *state.ClusterNotReconciledError. region is that of the replica that answers.
//
// Without a filter the answer has the records of all regions that share etcd, and waits for the replica's own region
// only: an answer must not depend on a service of another region. Clusters in NotReconciled are no error then.
func (r *Reconciliations) Check(region state.Region, filter state.ClusterFilter) error {
	if filter == (state.ClusterFilter{}) {
		return r.settled(region)
	}
	for _, p := range r.pending {
		if filter.MatchesCluster(p.ARN) {
			return &state.ClusterNotReconciledError{Reconciliation: p.Reconciliation}
		}
	}
	for clusterARN := range r.clusters {
		if a, err := arn.ParseKind(clusterARN, arn.Cluster); err == nil && filter.MatchesCluster(a) {
			return nil
		}
	}
	if a, err := arn.ParseKind(filter.ARN, arn.Cluster); err == nil {
		if _, reconciled := r.regions[state.RegionOf(a)]; reconciled {
			region = state.RegionOf(a)
		}
	}
	return r.settled(region) // an unknown cluster has no records then
}
