package clusterstate

import (
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// AgentTracker remembers since when the agents of instances are disconnected, by the clock of this process: ECS does
// not report it, and other clocks may be wrong. The zero AgentTracker has seen no loss.
type AgentTracker struct {
	mu        sync.Mutex
	byCluster map[string]map[string]time.Time // cluster ARN, then instance ARN; the inner maps never change
}

// Observe records which agents of a cluster are disconnected now.
func (t *AgentTracker) Observe(clusterARN string, instances []environment.Instance, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.byCluster[clusterARN]
	since := map[string]time.Time{}
	for _, i := range instances {
		if i.AgentConnected || i.Deregistered() {
			continue
		}
		since[i.ARN] = now
		if lost, known := before[i.ARN]; known {
			since[i.ARN] = lost
		}
	}
	switch {
	case len(since) == 0:
		delete(t.byCluster, clusterARN)
	case t.byCluster == nil:
		t.byCluster = map[string]map[string]time.Time{clusterARN: since}
	default:
		t.byCluster[clusterARN] = since
	}
}

// DisconnectedSince returns since when the agents of a cluster have been disconnected, by instance ARN. The caller must
// not change the map.
func (t *AgentTracker) DisconnectedSince(clusterARN string) map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byCluster[clusterARN]
}
