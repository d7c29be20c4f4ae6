package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// clusters answers how many container instances and tasks there are of each cluster that something is known of.
func (a *api) clusters(w http.ResponseWriter, r *http.Request) {
	if _, err := parseKnown(r.URL.RawQuery, nil); err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.comparedState(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	found := countClusters(s)
	items, size := make([][]byte, 0, len(found)), 0
	for _, name := range slices.Sorted(maps.Keys(found)) {
		item := encode(found[name])
		items, size = append(items, item), size+len(item)+1
	}
	a.tellFreshness(w.Header(), s)
	writeList(w, items, size, a.listTail(s, ""))
}

// countClusters returns the counts by the cluster's ARN.
func countClusters(s *cache.Snapshot) map[string]*models.Cluster {
	found := map[string]*models.Cluster{}
	of := func(clusterARN string) *models.Cluster {
		c := found[clusterARN]
		if c == nil {
			a, _ := arn.Parse(clusterARN) // a record whose cluster is malformed is not in the index
			c = &models.Cluster{
				ClusterARN: &clusterARN, Name: &a.Cluster, AgentsConnected: new(int64),
				Instances: map[string]int64{}, Tasks: map[string]int64{},
			}
			found[clusterARN] = c
		}
		return c
	}
	for e := range s.Instances.Prefix("") {
		c := of(e.Entity.ClusterARN)
		c.Instances[e.Entity.Status]++
		if e.Entity.AgentConnected {
			*c.AgentsConnected++
		}
	}
	for e := range s.Tasks.Prefix("") {
		of(e.Entity.ClusterARN).Tasks[e.Entity.LastStatus]++
	}
	return found
}
