package bench

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// The limit of cluster-state-service/reconcile on calls of ECS: calls per second, and calls at once.
const reconcileRate, reconcileBurst = 10.0, 50.0

// measureReconcile measures the first reconciliation with an ECS that answers after 20 ms. The baseline is the time
// that the limit on calls alone requires for as many calls.
func measureReconcile(ctx context.Context, cfg config, t *table) error {
	const clusters, tasksPerCluster = 100, 5
	s, err := newSystem(ctx, cfg, clusterFlags(clusters)...)
	if err != nil {
		return err
	}
	defer s.close()
	for n := range clusters * tasksPerCluster {
		path := "tasks/fargate?family=agent&cluster=" + clusterName(n%clusters)
		if err := s.simulator(ctx, http.MethodPost, path, "", nil); err != nil {
			return err
		}
	}
	if err := s.purgeQueue(ctx); err != nil { // so that the service learns everything from ECS
		return err
	}
	faults := `{"latency":{"ecs":"20ms"},"events":{}}`
	if err := s.simulator(ctx, http.MethodPut, "faults", faults, nil); err != nil {
		return err
	}
	css, err := s.startClusterState(ctx)
	if err != nil {
		return err
	}
	css.stop()
	calls, err := s.calls(ctx, func(action string) bool {
		return !strings.Contains(action, "Message") && !strings.Contains(action, "Queue")
	})
	if err != nil {
		return err
	}
	baseline := (float64(calls) - reconcileBurst) / reconcileRate
	t.add("reconcile", fmt.Sprintf("100 clusters, 1,000 instances, 500 tasks, calls of 20 ms: start to ready; "+
		"%d calls at %.0f/s", calls, reconcileRate), "s", []sample{{css.startupTime.Seconds(), baseline}})
	return nil
}
