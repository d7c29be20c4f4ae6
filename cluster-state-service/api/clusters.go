package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/filter"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// listClusters returns the number of container instances and tasks of every cluster that has any.
func (a *api) listClusters(w http.ResponseWriter, r *http.Request) {
	query, err := parseQuery(r.URL.RawQuery, []string{"account", "region", "maxStaleness"})
	if err != nil {
		a.fail(w, r, err)
		return
	}
	place, err := filter.ParsePlace(query.Get)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	maxStaleness, err := parseMaxStaleness(query.Get("maxStaleness"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.reconciledSnapshot(r.Context(), state.ClusterFilter{}, maxStaleness)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.setFreshness(w.Header(), s)
	if notModified(w, r, a.freshness(s).etags.clusters) {
		return
	}
	counts := countClusters(s)
	maps.DeleteFunc(counts, func(clusterARN string, _ *models.Cluster) bool { return !place.Matches(clusterARN) })
	items := make([][]byte, 0, len(counts))
	size := 0
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		item := encode(counts[name])
		items = append(items, item)
		size += len(item) + 1
	}
	accounts, regions := reconciledPlaces(s)
	writeList(w, items, size, a.listTail(s, "", member{"accounts", accounts}, member{"regions", regions}))
}

// reconciledPlaces returns the accounts and the regions that are or were reconciled, by any service that shares etcd.
func reconciledPlaces(s *cache.Snapshot) (accounts, regions []string) {
	for region := range s.Reconciliations.Regions() {
		accounts, regions = append(accounts, region.Account), append(regions, region.Name)
	}
	slices.Sort(accounts)
	slices.Sort(regions)
	return slices.Compact(accounts), slices.Compact(regions)
}

// countClusters returns the counts by cluster ARN.
func countClusters(s *cache.Snapshot) map[string]*models.Cluster {
	counts := map[string]*models.Cluster{}
	countsOf := func(clusterARN string) *models.Cluster {
		c := counts[clusterARN]
		if c == nil {
			a, _ := arn.Parse(clusterARN) // the index holds no record with a malformed cluster
			c = &models.Cluster{
				ClusterARN: &clusterARN, Name: &a.Cluster, Account: a.Account, Region: a.Region, AgentsConnected: new(int64),
				Instances: map[string]int64{}, Tasks: map[string]int64{},
			}
			counts[clusterARN] = c
		}
		return c
	}
	for e := range s.Instances.Prefix("") {
		c := countsOf(e.Entity.ClusterARN)
		c.Instances[e.Entity.Status]++
		if e.Entity.AgentConnected {
			*c.AgentsConnected++
		}
	}
	for e := range s.Tasks.Prefix("") {
		countsOf(e.Entity.ClusterARN).Tasks[e.Entity.LastStatus]++
	}
	return counts
}
