package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/blox/blox/internal/ratelimit"
)

// deploymentOn returns a function that measures the time from a deployment's creation to the start of its last task.
// The baseline is the time that the limit on StartTask calls requires.
func deploymentOn(instances int) func(context.Context, config, *table) error {
	return func(ctx context.Context, cfg config, t *table) error {
		s, err := newSystem(ctx, cfg, "--api-limits")
		if err != nil {
			return err
		}
		defer s.close()
		bucket := ratelimit.Modifications
		baseline := (float64(instances)/startBatch - bucket.Burst) / bucket.Rate
		name := fmt.Sprintf("deployment on %d instances: created to all tasks started; ", instances)
		var targets []target
		configuration := `{}`
		if baseline <= 0 {
			baseline = math.NaN()
			name += "in batches of 1, 2, 4, …"
		} else {
			// A slow start leaves calls unused until its batches exceed the burst of the bucket, for as long as the tasks of
			// ten batches take to run. The target is about the rate of calls.
			configuration = `{"slowStart":false}`
			name += "the calls within ECS's token bucket, without slow start"
			targets = []target{ratioBelow(1.1)}
		}
		took, err := s.deployOn(ctx, instances, configuration)
		if err != nil {
			return err
		}
		t.add("scheduler-deploy", name, "s", []sample{{took.Seconds(), baseline}}, targets...)
		return nil
	}
}

// deployOn returns the time from the creation of a deployment to the start of its last task.
func (s *system) deployOn(ctx context.Context, instances int, configuration string) (took time.Duration, err error) {
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
	d, err := ds.deployWith(ctx, "logs", "default", configuration)
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
