package status

import (
	"context"
	"time"
)

const leaderTimeout = time.Second // for etcd, when it is read who leads

// Readiness is whether this replica can serve.
type Readiness struct {
	Replica string   // the name of this replica
	Leader  string   // the name of the replica that leads; empty if none does or etcd does not respond
	Reasons []string // why the replica is not ready; empty if it is
}

// Readiness reads the name of the leader, and checks whether etcd responds and accepts writes, its records are in the
// cache, and the cluster state is fresh. It returns within a second.
func (s *Status) Readiness(ctx context.Context) Readiness {
	ctx, cancel := context.WithTimeout(ctx, leaderTimeout)
	defer cancel()
	reasons := s.clusterReasons()
	leader, err := s.Etcd.Leader(ctx)
	switch {
	case err != nil:
		reasons = append(reasons, "etcd does not respond")
	case s.Etcd.OutOfSpace(ctx):
		reasons = append(reasons, "etcd is out of space; nothing is started or changed until space is freed")
	}
	if !s.Cache.Synced() {
		reasons = append(reasons, "the environments are not loaded from etcd yet")
	}
	return Readiness{Replica: s.Replica, Leader: leader, Reasons: reasons}
}

// clusterReasons returns why the cluster state cannot be relied on.
func (s *Status) clusterReasons() []string {
	switch now := time.Now(); {
	case s.Cluster.TooOld():
		return []string{"cluster-state-service is too old, such as v0.3: upgrade it before daemon-scheduler"}
	case !s.Cluster.Synced():
		return []string{"no data from cluster-state-service yet"}
	case !s.Cluster.Fresh(now):
		age := s.Cluster.Age(now).Round(time.Second)
		return []string{"no data from cluster-state-service for " + age.String()}
	}
	return nil
}
