package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/blox/blox/internal/backoff"
)

// measureStartLatency measures the time from an instance's registration to its StartTask, for one instance after the
// other.
func measureStartLatency(ctx context.Context, cfg config, t *table) error {
	const instances = 300
	s, err := newSystem(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.registerTaskDefinition(ctx, ""); err != nil {
		return err
	}
	ds, err := s.startScheduler(ctx, "--change-rate", "1000")
	if err != nil {
		return err
	}
	d, err := ds.deploy(ctx, "logs", "default")
	if err != nil {
		return err
	}
	if err := ds.awaitCompleted(ctx, d); err != nil {
		return err
	}
	registeredAt, err := s.registerOneByOne(ctx, instances)
	if err != nil {
		return err
	}
	var tasks []startedTask
	if err := ds.await(ctx, time.Minute, "all tasks", func() (bool, error) {
		var err error
		tasks, err = s.startedTasks(ctx, "default")
		return len(tasks) >= instances, err
	}); err != nil {
		return err
	}
	var latencies []time.Duration
	for _, task := range tasks {
		createdAt := task.CreatedAt.Add(time.Millisecond) // the simulator truncates
		latencies = append(latencies, createdAt.Sub(registeredAt[task.InstanceARN]))
	}
	p50, p99 := percentiles(latencies)
	const section, name = "scheduler-start", "instance registered to StartTask received, 300 one after the other: "
	t.add(section, name+"p50", "ms", single(p50))
	t.add(section, name+"p99", "ms", single(p99), below("< 50 ms", 50))
	return nil
}

// registerOneByOne registers an instance every 100 ms and returns the times by ARN.
func (s *system) registerOneByOne(ctx context.Context, count int) (map[string]time.Time, error) {
	registeredAt := map[string]time.Time{}
	for range count {
		now := time.Now()
		added, err := s.addInstances(ctx, "default", 1)
		if err != nil {
			return nil, fmt.Errorf("add an instance: %w", err)
		}
		for _, arn := range added {
			registeredAt[arn] = now
		}
		if !backoff.Sleep(ctx, 100*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
	return registeredAt, nil
}
