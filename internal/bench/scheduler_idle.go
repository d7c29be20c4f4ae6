package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	idleClusters           = manyClusters
	environmentsPerCluster = 10
	idleDuration           = 20 * time.Second
	idleSection            = "scheduler-idle"
	idleName               = "1,000 environments, 100 clusters, 1,000 instances, 10,000 tasks: "
)

// schedulerActions are the ECS actions that daemon-scheduler uses, and cluster-state-service does not between two
// reconciliations. That describes the clusters once a minute.
var schedulerActions = []string{
	"StartTask", "StopTask", "ListTasks", "DescribeTasks", "DescribeTaskDefinition",
}

// measureIdle measures what 1,000 environments in 100 clusters cost while nothing changes, and when an instance joins
// each cluster.
func measureIdle(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg, clusterFlags()...)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.registerTaskDefinition(ctx, "&cpu=64&memory=64"); err != nil {
		return err
	}
	ds, err := s.startScheduler(ctx, "--change-rate", "1000", "--lookup-rate", "1000")
	if err != nil {
		return err
	}
	var deployments []deployment
	for n := range idleClusters * environmentsPerCluster {
		d, err := ds.deploy(ctx, fmt.Sprintf("agent-%d", n), clusterName(n%idleClusters))
		if err != nil {
			return err
		}
		deployments = append(deployments, d)
	}
	for _, d := range deployments {
		if err := ds.awaitCompleted(ctx, d); err != nil {
			return err
		}
	}
	backoff.Sleep(ctx, 2*time.Second) // the last events are still under way
	if err := s.measureAtRest(ctx, ds, t); err != nil {
		return err
	}
	return s.measureJoins(ctx, ds, t)
}

// schedulerCalls counts daemon-scheduler's calls of ECS.
func (s *system) schedulerCalls(ctx context.Context) (int, error) {
	return s.calls(ctx, func(action string) bool { return slices.Contains(schedulerActions, action) })
}

func (s *system) measureAtRest(ctx context.Context, ds *scheduler, t *table) error {
	before, err := s.schedulerCalls(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	cpu := ds.cpu()
	if !backoff.Sleep(ctx, idleDuration) {
		return ctx.Err()
	}
	load := (ds.cpu() - cpu) / time.Since(start).Seconds() * 100
	after, err := s.schedulerCalls(ctx)
	if err != nil {
		return err
	}
	t.add(idleSection, idleName+"CPU at rest", "%", single(load))
	t.add(idleSection, idleName+"resident memory at rest", "MiB", single(ds.memory("VmRSS")))
	t.add(idleSection, idleName+"ECS calls a minute at rest", "calls",
		single(float64(after-before)/idleDuration.Minutes()), below("none", 0.1))
	return nil
}

// measureJoins adds an instance to each cluster and measures the time until all tasks have started on them.
func (s *system) measureJoins(ctx context.Context, ds *scheduler, t *table) error {
	const tasks = idleClusters * environmentsPerCluster * 11 // each cluster has eleven instances now
	start := time.Now()
	cpu := ds.cpu()
	for n := range idleClusters {
		if _, err := s.addInstances(ctx, clusterName(n), 1); err != nil {
			return err
		}
	}
	var last time.Time
	if err := ds.await(ctx, deployTimeout, "all tasks", func() (bool, error) {
		backoff.Sleep(ctx, 500*time.Millisecond) // the list of all tasks is long
		started, err := s.startedTasks(ctx, "")
		for _, task := range started {
			if task.CreatedAt.After(last) {
				last = task.CreatedAt
			}
		}
		return len(started) >= tasks, err
	}); err != nil {
		return err
	}
	const name = idleName + "an instance joins each cluster: "
	t.add(idleSection, name+"to the last of 1,000 StartTask", "s", single(last.Sub(start).Seconds()))
	t.add(idleSection, name+"CPU time", "s", single(ds.cpu()-cpu))
	return nil
}
