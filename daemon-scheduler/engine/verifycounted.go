package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/planner"
)

const (
	// unconfirmedLife is how long the rollout budget does not count a task that ECS did not confirm. Then the next stop
	// that relies on the task has it described again.
	unconfirmedLife = 10 * time.Second
	// maxCountedPerDescribe is how many counted tasks one reconciliation has described; the next one continues.
	maxCountedPerDescribe = 2000
)

// verifyCounted returns the stops that may go out. Those that make room for a start rely on the rollout budget, and so
// on every task because of which an instance counts as available that the rollout has changed. They go out only if ECS
// has confirmed all of these: a phantom in the place of a task that the rollout has stopped would let one instance too
// many go. The next plan knows which tasks ECS did not confirm, and phantoms are left out of the cluster state.
//
// A task that ECS has described in the last minutes needs no call. If one needs a call, the older ones are described
// with it, a hundred in a call. An error withholds the stops.
func (r *reconciliation) verifyCounted(
	ctx context.Context, stops []planner.Action, counted []string,
) (permitted []planner.Action, err error) {
	if len(counted) == 0 || !slices.ContainsFunc(stops, planner.Action.MakesRoom) {
		return stops, nil
	}
	if len(r.confirmed.olderThan(countedLife, counted, time.Now())) > 0 {
		err = r.describeCounted(ctx, counted)
	}
	if err == nil && len(r.confirmed.olderThan(countedLife, counted, time.Now())) == 0 {
		return stops, nil
	}
	return slices.DeleteFunc(slices.Clone(stops), planner.Action.MakesRoom), err
}

// describeCounted has ECS describe the counted tasks that were not confirmed recently, those that need it first.
func (r *reconciliation) describeCounted(ctx context.Context, counted []string) error {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	at := time.Now()
	arns := r.confirmed.olderThan(countedLife, counted, at)
	needed := map[string]bool{}
	for _, arn := range arns {
		needed[arn] = true
	}
	for _, arn := range r.confirmed.olderThan(countedLife/2, counted, at) {
		if !needed[arn] {
			arns = append(arns, arn)
		}
	}
	arns = arns[:min(len(arns), maxCountedPerDescribe)]
	tasks, missing, err := r.ECS.DescribeTasks(ctx, r.env.Cluster, arns)
	if err != nil {
		return fmt.Errorf("verify %d tasks that the rollout counts: %w", len(arns), err)
	}
	r.confirmed.add(tasks, at)
	r.ignorePhantoms(r.phantomsOf(missing))
	denied := slices.Collect(maps.Keys(missing)) // phantoms among them are in no plan any more
	for _, t := range tasks {
		if !t.Live() || t.Stopping() {
			denied = append(denied, t.ARN)
		}
	}
	r.leader.recordUnconfirmed(r.env.Name, denied, at)
	return nil
}

// recordUnconfirmed records tasks of an environment that ECS did not describe as live.
func (l *leaderState) recordUnconfirmed(name string, tasks []string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, arn := range tasks {
		if l.unconfirmedAt[name] == nil {
			l.unconfirmedAt[name] = map[string]time.Time{}
		}
		l.unconfirmedAt[name][arn] = at
	}
}

// unconfirmed returns the tasks that ECS did not confirm recently, by ARN, and when the first of them is to be
// described again; zero if there is none.
func (l *leaderState) unconfirmed(name string, now time.Time) (tasks map[string]bool, expiry time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.unconfirmedAt[name], func(_ string, at time.Time) bool { return now.Sub(at) >= unconfirmedLife })
	if len(l.unconfirmedAt[name]) == 0 {
		delete(l.unconfirmedAt, name)
		return nil, time.Time{}
	}
	tasks = map[string]bool{}
	for arn, at := range l.unconfirmedAt[name] {
		tasks[arn] = true
		expiry = planner.Earliest(expiry, at.Add(unconfirmedLife))
	}
	return tasks, expiry
}
