package cache

import (
	"slices"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// Check returns an error if an answer about the clusters that match could lack records. The error wraps
// state.ErrNotReconciled, or is a *state.ClusterNotReconciledError. sources are those of the replica that answers.
//
// Without a filter the answer has the records of all regions that share etcd, and waits for the replica's own sources
// only: an answer must not depend on a service of another region. Clusters in NotReconciled are no error then.
func (r *Reconciliations) Check(sources []state.Source, filter state.ClusterFilter) error {
	sources = r.Resolve(sources)
	if filter == (state.ClusterFilter{}) {
		return r.checkSources(sources)
	}
	for _, p := range r.pending {
		if filter.MatchesCluster(p.ARN) {
			return &state.ClusterNotReconciledError{Reconciliation: p.Reconciliation}
		}
	}
	candidates := r.candidates(sources, filter)
	if len(candidates) == 0 { // nothing reconciles such a cluster
		return r.checkSources(sources)
	}
	if r.allSettled(candidates) {
		return nil
	}
	return r.checkCandidates(candidates, r.regionsWith(filter))
}

// allSettled reports whether every source is complete, whatever its clusters are: the usual case, which costs no walk.
func (r *Reconciliations) allSettled(sources []state.Source) bool {
	return !slices.ContainsFunc(sources, func(s state.Source) bool { return !r.regions[s.Region].settled() })
}

// checkSources returns state.ErrNotReconciled until every source was reconciled or has failed several times, and not
// all have failed.
func (r *Reconciliations) checkSources(sources []state.Source) error {
	settled := 0
	for _, s := range sources {
		switch known := r.regions[s.Region]; {
		case known.settled():
			settled++
		case s.Awaited && !known.failed():
			return state.ErrNotReconciled
		}
	}
	if settled == 0 {
		return state.ErrNotReconciled
	}
	return nil
}

// candidates returns the sources that may have clusters that match. For a filter by ARN that may be one of another
// service, or the one whose account is assumed, if that is wrong.
func (r *Reconciliations) candidates(sources []state.Source, filter state.ClusterFilter) (found []state.Source) {
	for _, s := range sources {
		if filter.MatchesRegion(s.Region) {
			found = append(found, s)
		}
	}
	if cluster, err := arn.ParseKind(filter.ARN, arn.Cluster); err == nil && len(found) == 0 {
		_, recorded := r.regions[state.RegionOf(cluster)]
		if recorded || assumesAccount(sources, cluster.Region) {
			found = append(found, state.Source{Region: state.RegionOf(cluster), Awaited: true})
		}
	}
	return found
}

// assumesAccount reports whether a source of the region has an assumed account.
func assumesAccount(sources []state.Source, region string) bool {
	return slices.ContainsFunc(sources, func(s state.Source) bool { return s.Assumed && s.Name == region })
}

// regionsWith returns the regions with a reconciled cluster that matches.
func (r *Reconciliations) regionsWith(filter state.ClusterFilter) map[state.Region]bool {
	regions := map[state.Region]bool{}
	for clusterARN := range r.clusters {
		if a, err := arn.ParseKind(clusterARN, arn.Cluster); err == nil && filter.MatchesCluster(a) {
			regions[state.RegionOf(a)] = true
		}
	}
	return regions
}

// checkCandidates returns an error unless each source is complete as to clusters that match: it is settled, or has one,
// which matching shows. A source that lists do not wait for is an error only if no source has one.
func (r *Reconciliations) checkCandidates(sources []state.Source, matching map[state.Region]bool) error {
	var incomplete error
	for _, s := range sources {
		switch known := r.regions[s.Region]; {
		case matching[s.Region], known.settled():
		case known.failed():
			incomplete = &state.ClusterNotReconciledError{Reconciliation: known.record}
		case s.Awaited:
			return state.ErrNotReconciled
		default:
			incomplete = state.ErrNotReconciled
		}
	}
	if len(matching) > 0 {
		return nil
	}
	return incomplete
}
