package engine

import (
	"errors"
	"sync"

	"github.com/blox/blox/internal/arn"
)

// limitWorkers gives each account and region workers of its own: where AWS does not respond, calls take until their
// timeouts, and must keep no worker from the environments elsewhere.
func (e *Engine) limitWorkers(leader *leaderState) {
	leader.queue.perGroup, leader.readiness.perGroup = e.Workers, e.Workers
	leader.readiness.groupOf = placeOf
	leader.queue.groupOf = func(name string) string {
		clusterARN, _ := e.Cache.ClusterOf(name)
		return placeOf(clusterARN)
	}
}

// placeOf returns the partition, region and account of a cluster, given its ARN.
func placeOf(clusterARN string) string {
	parsed, err := arn.ParseKind(clusterARN, arn.Cluster)
	if err != nil { // of a malformed record
		return ""
	}
	return parsed.Partition + ":" + parsed.Region + ":" + parsed.Account
}

// byPlace returns a map from cluster ARNs as one such map for each place.
func byPlace[V any](byCluster map[string]V) map[string]map[string]V {
	places := map[string]map[string]V{}
	for clusterARN, v := range byCluster {
		place := placeOf(clusterARN)
		if places[place] == nil {
			places[place] = map[string]V{}
		}
		places[place][clusterARN] = v
	}
	return places
}

// forEach calls do for all entries concurrently, so that a slow one delays no other, and returns all errors.
func forEach[K comparable, V any](entries map[K]V, do func(K, V) error) error {
	var mu sync.Mutex
	var failures []error
	var calls sync.WaitGroup
	for k, v := range entries {
		calls.Go(func() {
			err := do(k, v)
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, err)
		})
	}
	calls.Wait()
	return errors.Join(failures...)
}
