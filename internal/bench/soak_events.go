package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

const (
	soakTasks  = 10_000 // tasks that the events describe
	maxBacklog = 20_000 // events in the queue at which the sender waits
)

// eventSoak sends events about the same tasks again and again.
type eventSoak struct {
	system  *system
	service *service
	version atomic.Int64 // of every task, after the last round
}

// soakEvents ingests as many events as possible for the duration of --load. All describe the same tasks, so what the
// service uses after a fifth of the time is what it may use at the end.
func soakEvents(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := seed(ctx, s.etcd, 0, 1); err != nil {
		return err
	}
	css, err := s.startClusterState(ctx)
	if err != nil {
		return err
	}
	soak := &eventSoak{system: s, service: css}
	if err := soak.round(ctx); err != nil {
		return err
	}
	if err := s.awaitQueueLength(ctx, css, maxBacklog/100); err != nil {
		return err
	}
	const section = "soak-events"
	probe := css.startProbeClient(ctx, "/v1/tasks?cluster="+clusterName(7)+"&limit=1", `"items":[{`)
	defer probe.stop()
	usages, sizes, rate, err := soak.run(ctx, cfg.load)
	if err != nil {
		return err
	}
	t.add(section, fmt.Sprintf("events of 2 kB through SQS into etcd, %s", cfg.load), "events/s", single(rate))
	if err := s.awaitQueueLength(ctx, css, 0); err != nil {
		return err
	}
	name := fmt.Sprintf("after %s, compared with a fifth", cfg.load)
	t.addUsage(section, name, usages[0], usages[2], ratioBelow(1.2))
	name = fmt.Sprintf("etcd's file after %s, compared with three fifths, when history has been compacted", cfg.load)
	t.add(section, name, "MiB", []sample{{sizes[2] / mib, sizes[1] / mib}}, ratioBelow(1.2))
	if err := t.addProbeClient(section, "under load", probe); err != nil {
		return err
	}
	return soak.checkStored(ctx)
}

// run sends events for the duration. It returns the service's usage and the size of etcd's file after one fifth, three
// fifths and all of it, and the events per second.
func (e *eventSoak) run(ctx context.Context, duration time.Duration) (
	usages [3]usage, sizes [3]float64, rate float64, err error,
) {
	start := time.Now()
	first := e.version.Load()
	for i, mark := range []time.Duration{duration / 5, duration * 3 / 5, duration} {
		for sent := false; !sent || time.Since(start) < mark; sent = true {
			if err := e.round(ctx); err != nil {
				return usages, sizes, 0, err
			}
			if err := e.system.awaitQueueLength(ctx, e.service, maxBacklog); err != nil {
				return usages, sizes, 0, err
			}
		}
		if usages[i], err = e.service.usage(ctx); err != nil {
			return usages, sizes, 0, err
		}
		status, err := e.system.etcd.Status(ctx, e.system.endpoint)
		if err != nil {
			return usages, sizes, 0, err
		}
		sizes[i] = float64(status.DbSize)
	}
	rate = float64(e.version.Load()-first) * soakTasks / time.Since(start).Seconds()
	return usages, sizes, rate, nil
}

// round sends the next version of every task.
func (e *eventSoak) round(ctx context.Context) error {
	version := int(e.version.Add(1))
	var sending errgroup.Group
	sending.SetLimit(senders)
	for first := 0; first < soakTasks && ctx.Err() == nil; first += batchSize {
		sending.Go(func() error {
			events := make([]string, batchSize)
			for i := range events {
				n := first + i
				events[i] = taskEvent(n, n, version, "RUNNING", "bench")
			}
			return e.system.sendBatch(ctx, events)
		})
	}
	return sending.Wait()
}

// checkStored checks a sample of the tasks, and that etcd has each task once.
func (e *eventSoak) checkStored(ctx context.Context) error {
	for n := 0; n < soakTasks; n += 97 {
		got, err := e.system.etcd.Get(ctx, taskKey(n, n))
		if err != nil {
			return err
		}
		if len(got.Kvs) != 1 {
			return fmt.Errorf("task %d is not stored", n)
		}
		var record struct{ Detail struct{ Version int64 } }
		if err := json.Unmarshal(got.Kvs[0].Value, &record); err != nil {
			return fmt.Errorf("task %d: %w: %.3000s", n, err, got.Kvs[0].Value)
		}
		if version := e.version.Load(); record.Detail.Version != version {
			return fmt.Errorf("task %d is not at version %d: %.3000s", n, version, got.Kvs[0].Value)
		}
	}
	count, err := e.system.etcd.Get(ctx, "ecs/task/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err == nil && count.Count != soakTasks {
		err = fmt.Errorf("%d tasks are stored, want %d", count.Count, soakTasks)
	}
	return err
}
