package robustness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/harness"
)

// Most events of a deleted cluster arrive when it is gone, and some of them when its successor exists.
const (
	lateFraction = 0.8
	lateBy       = 8 * time.Second // actions last up to 15 s
)

const (
	clusterTimeout    = 20 * time.Second // to delete a cluster, while other faults make calls fail
	deletionHeadStart = 3 * time.Second  // of environments, before their cluster is deleted
)

// recreateCluster deletes a cluster and everything in it. After the duration of the action, it creates the cluster anew
// under the same name. Every second action deletes the cluster's environments first.
func (e *executor) recreateCluster(ctx context.Context, a action) error {
	cluster := e.instances.pickCluster(a)
	if !e.instances.claim(cluster) {
		return nil
	}
	defer e.instances.release(cluster)
	if deletesEnvironments(a) {
		e.users.deleteAll(ctx, cluster)
	}
	e.watch.recreations.begin(cluster)
	defer e.watch.recreations.end(cluster)
	err := e.deleteCluster(ctx, cluster, func() { backoff.Sleep(ctx, a.Duration) })
	if err == nil {
		e.history.count("clusters recreated", 1)
	}
	return errors.Join(err, e.instances.registerIn(context.WithoutCancel(ctx), cluster))
}

// deletesEnvironments reports whether the action deletes the cluster's environments before the cluster.
func deletesEnvironments(a action) bool { return int(a.Pick*1e6)%2 == 0 }

// deleteCluster deletes the cluster and waits. Most events of its last instances and tasks arrive later.
func (e *executor) deleteCluster(ctx context.Context, cluster string, wait func()) error {
	undo, err := e.simulated.delayEvents(ctx, e.placeIndex(cluster))
	if err == nil {
		err = harness.Await(ctx, clusterTimeout, "the deletion of "+cluster, func() error {
			return e.tryDelete(ctx, cluster)
		})
	}
	wait()
	return errors.Join(err, undo())
}

// tryDelete deregisters the instances, stops the tasks and deletes the cluster.
func (e *executor) tryDelete(ctx context.Context, cluster string) error {
	state, err := e.sim.clusterState(ctx, cluster)
	for _, i := range state.Instances {
		if i.Status != "INACTIVE" {
			err = errors.Join(err,
				e.sim.call(ctx, http.MethodDelete, "instances", url.Values{"instance": {i.ARN}}, nil, nil))
		}
	}
	if err != nil {
		return err
	}
	if state, err = e.sim.clusterState(ctx, cluster); err != nil {
		return err
	}
	for _, t := range state.Tasks {
		if t.Live() { // on Fargate; the others ended with their instances
			err = errors.Join(err, e.sim.post(ctx, "tasks/kill", url.Values{"task": {t.ARN}, "exitCode": {"1"}}))
		}
	}
	if err != nil {
		return err
	}
	return e.operator.deleteCluster(ctx, cluster)
}

// placeIndex returns the index of the account and region of an ARN.
func (s *system) placeIndex(arn string) int {
	at, _ := placeOf(arn)
	for n, p := range s.places {
		if p.String() == at.String() {
			return n
		}
	}
	panic(fmt.Sprintf("no place of %q", arn)) // ARNs come from the places
}

// deleteCluster deletes an empty cluster as a user does.
func (o *operator) deleteCluster(ctx context.Context, cluster string) error {
	ctx, cancel := context.WithTimeout(ctx, simulatorTimeout)
	defer cancel()
	_, err := o.in(cluster).ecs.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: &cluster})
	return err
}

// claim excludes a cluster from other actions. It returns false if another action has claimed the cluster.
func (i *instances) claim(cluster string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	claimed := !i.claimed[cluster]
	i.claimed[cluster] = true
	return claimed
}

func (i *instances) release(cluster string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.claimed, cluster)
}

// registerIn registers the first instances of a cluster. It creates the cluster if necessary.
func (i *instances) registerIn(ctx context.Context, cluster string) error {
	query := url.Values{"cluster": {cluster}, "count": {strconv.Itoa(minInstances + 2)}}
	return harness.Await(ctx, clusterTimeout, "instances of "+cluster, func() error {
		return i.sim.post(ctx, "instances", query)
	})
}

// deleteAll makes the users delete the cluster's environments, with or without their tasks. It returns when each DELETE
// was sent, or after deletionHeadStart.
func (u *userClient) deleteAll(ctx context.Context, cluster string) {
	for n, e := range u.of(cluster) {
		pick := []float64{0.93, 0.98}[n%2] // see change
		u.enqueue(action{Kind: "user", Target: strconv.Itoa(e.slot), Pick: pick})
	}
	_ = harness.Await(ctx, deletionHeadStart, "deletions", func() error {
		if left := u.of(cluster); len(left) > 0 {
			return fmt.Errorf("%d environments left", len(left))
		}
		return nil
	})
}

// of returns the environments of a cluster that no user deletes so far.
func (u *userClient) of(cluster string) (kept []userEnvironment) {
	for _, e := range u.snapshot() {
		if e.cluster == cluster && !e.deleteSent {
			kept = append(kept, e)
		}
	}
	return kept
}
