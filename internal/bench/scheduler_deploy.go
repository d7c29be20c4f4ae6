package bench

import (
	"context"
	"fmt"
	"math"
	"time"
)

// deploymentOn returns a function that measures the time from a deployment's creation to the start of its last task.
// The baseline is the time that the limit on StartTask calls requires.
func deploymentOn(instances int) func(context.Context, config, *table) error {
	return func(ctx context.Context, cfg config, t *table) error {
		s, err := newSystem(ctx, cfg)
		if err != nil {
			return err
		}
		defer s.close()
		took, err := s.deployOn(ctx, instances)
		if err != nil {
			return err
		}
		baseline := (float64(instances)/startBatch - changeBurst) / changeRate
		if baseline <= 0 {
			baseline = math.NaN()
		}
		name := fmt.Sprintf("deployment on %d instances: created to all tasks started; the calls at %.0f/s",
			instances, changeRate)
		t.add("scheduler-deploy", name, "s", []sample{{took.Seconds(), baseline}})
		return nil
	}
}

// deployOn returns the time from the creation of a deployment to the start of its last task.
func (s *system) deployOn(ctx context.Context, instances int) (took time.Duration, err error) {
	if err := s.registerTaskDefinition(ctx, ""); err != nil {
		return 0, err
	}
	if _, err := s.addInstances(ctx, "default", instances); err != nil {
		return 0, err
	}
	ds, err := s.startScheduler(ctx)
	if err != nil {
		return 0, err
	}
	if err := ds.awaitInstances(ctx, instances); err != nil {
		return 0, err
	}
	d, err := ds.deploy(ctx, "logs", "default")
	if err != nil {
		return 0, err
	}
	if err := ds.awaitCompleted(ctx, d); err != nil {
		return 0, err
	}
	tasks, err := s.startedTasks(ctx, "default")
	if err != nil {
		return 0, err
	}
	started := 0
	for _, task := range tasks {
		if task.StartedBy == d.id {
			took = max(took, task.CreatedAt.Sub(d.requestedAt))
			started++
		}
	}
	if started != instances {
		return 0, fmt.Errorf("%d tasks on %d instances", started, instances)
	}
	return took, nil
}
