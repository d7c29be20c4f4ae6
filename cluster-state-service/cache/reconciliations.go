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
	// incomplete. For an account and region whose clusters are not known it has an ARN with state.AllClusters.
	NotReconciled []string

	clusters map[string]state.Reconciliation // by ARN
	pending  []pendingCluster                // those of NotReconciled
	regions  map[state.Region]regionReconciliation
}

// regionReconciliation summarizes a region that is or was reconciled.
type regionReconciliation struct {
	// record is that of the whole region: FinishedAt is zero until every cluster was reconciled or has failed several
	// times. It is zero if only clusters are recorded.
	record state.Reconciliation
	oldest time.Time // the earliest FinishedAt of its reconciled clusters; zero if there is none
}

func (r regionReconciliation) settled() bool { return !r.record.FinishedAt.IsZero() }

// failed reports whether lists do not wait for the region: several attempts to reconcile it have failed.
func (r regionReconciliation) failed() bool { return !r.settled() && r.record.Error != "" }

// at returns the time since when every cluster of a settled region was reconciled.
func (r regionReconciliation) at() time.Time {
	if r.oldest.IsZero() {
		return r.record.FinishedAt // it has no clusters
	}
	return r.oldest
}

// missing returns how many of the entries of NotReconciled are of the region.
func (r *Reconciliations) missing(region state.Region) (n int) {
	for _, p := range r.pending {
		if state.RegionOf(p.ARN) == region {
			n++
		}
	}
	if known := r.regions[region]; !known.settled() && known.record.Cluster != "" {
		n++
	}
	return n
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
		if !ofCluster {
			r.addRegion(region, m.Reconciled)
		} else if cluster, err := arn.ParseKind(m.Reconciled.Cluster, arn.Cluster); err == nil &&
			cluster.Cluster == clusterName { // else it is malformed
			r.addCluster(region, cluster, m.Reconciled)
		}
	}
	for _, p := range r.pending {
		r.NotReconciled = append(r.NotReconciled, p.Reconciliation.Cluster)
	}
	slices.SortFunc(r.pending, func(a, b pendingCluster) int {
		return cmp.Compare(a.Reconciliation.Cluster, b.Reconciliation.Cluster)
	})
	slices.Sort(r.NotReconciled)
	return r
}

func (r *Reconciliations) addRegion(region state.Region, record state.Reconciliation) {
	known := r.regions[region]
	known.record = record
	r.regions[region] = known
	if !known.settled() && record.Cluster != "" {
		r.NotReconciled = append(r.NotReconciled, record.Cluster)
	}
}

func (r *Reconciliations) addCluster(region state.Region, cluster arn.ARN, record state.Reconciliation) {
	known := r.regions[region]
	r.clusters[record.Cluster] = record
	switch finishedAt := record.FinishedAt; {
	case finishedAt.IsZero():
		r.pending = append(r.pending, pendingCluster{cluster, record})
	case known.oldest.IsZero(), finishedAt.Before(known.oldest):
		known.oldest = finishedAt
	}
	r.regions[region] = known
}

// Of returns the reconciliation of a cluster; zero if the cluster is unknown.
func (r *Reconciliations) Of(clusterARN string) state.Reconciliation { return r.clusters[clusterARN] }

// OfRegion returns the reconciliation of an account and region; zero if there is none.
func (r *Reconciliations) OfRegion(region state.Region) state.Reconciliation {
	return r.regions[region].record
}

// Clusters yields the ARNs of all clusters that were reconciled, or are to be.
func (r *Reconciliations) Clusters() iter.Seq[string] { return maps.Keys(r.clusters) }

// Regions yields all accounts and regions that were reconciled, or are to be.
func (r *Reconciliations) Regions() iter.Seq[state.Region] { return maps.Keys(r.regions) }

// Resolve completes the source whose account is unknown: until ECS shows it, it is taken for the only account whose
// reconciliations of that region are recorded, apart from those of the other sources.
func (r *Reconciliations) Resolve(sources []state.Source) []state.Source {
	if !slices.ContainsFunc(sources, func(s state.Source) bool { return s.Account == "" }) {
		return sources
	}
	resolved := slices.Clone(sources)
	for i, s := range resolved {
		if s.Account == "" {
			resolved[i].Account, resolved[i].Assumed = r.onlyAccount(s.Name, sources), true
		}
	}
	return resolved
}

// onlyAccount returns the account of the only recorded region with that name that is none of the sources.
func (r *Reconciliations) onlyAccount(name string, sources []state.Source) string {
	var accounts []string
	for known := range r.regions {
		isSource := slices.ContainsFunc(sources, func(s state.Source) bool { return s.Region == known })
		if known.Name == name && !isSource {
			accounts = append(accounts, known.Account)
		}
	}
	if len(accounts) == 1 {
		return accounts[0]
	}
	return ""
}

// At returns the time since when every cluster of the sources was reconciled, but for NotReconciled. It is zero as long
// as lists wait, or if no source was reconciled.
func (r *Reconciliations) At(sources []state.Source) (at time.Time) {
	if r.checkSources(r.Resolve(sources)) != nil {
		return time.Time{}
	}
	for _, s := range r.Resolve(sources) {
		if known := r.regions[s.Region]; known.settled() && (at.IsZero() || known.at().Before(at)) {
			at = known.at()
		}
	}
	return at
}

// Oldest returns, by account and region, when the cluster whose reconciliation is the least recent was reconciled.
func (r *Reconciliations) Oldest() map[state.Region]time.Time {
	oldest := map[state.Region]time.Time{}
	for region, known := range r.regions {
		if !known.oldest.IsZero() {
			oldest[region] = known.oldest
		}
	}
	return oldest
}
