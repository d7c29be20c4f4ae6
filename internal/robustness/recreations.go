package robustness

import (
	"sync"
	"time"

	"github.com/blox/blox/internal/arn"
)

// reconcileMargin is how long a reconciliation that read a deleted cluster may still remove its records.
const reconcileMargin = 30 * time.Second

// recreations records which clusters do not exist, or did not until recently. It is safe for concurrent use.
type recreations struct {
	mu      sync.Mutex
	endedAt map[string]time.Time // by cluster ARN; zero while the cluster does not exist
}

func (r *recreations) begin(clusterARN string) { r.set(clusterARN, time.Time{}) }

func (r *recreations) end(clusterARN string) { r.set(clusterARN, time.Now()) }

func (r *recreations) set(clusterARN string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endedAt[clusterARN] = at
}

// cover reports whether the cluster of a task or container instance did not exist, or was just created anew.
func (r *recreations) cover(entityARN string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.endedAt[clusterOf(entityARN)]
	return known && (at.IsZero() || now.Sub(at) < reconcileMargin)
}

// clusterOf returns the ARN of the cluster that the long ARN of an entity names; "" for another ARN.
func clusterOf(entityARN string) string {
	entity, err := arn.Parse(entityARN)
	if err != nil || entity.Cluster == "" {
		return ""
	}
	return entity.ClusterARN(entity.Cluster).String()
}
