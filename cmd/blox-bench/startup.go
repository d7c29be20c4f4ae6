package main

import (
	"context"
	"math"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const mib = 1 << 20

// startup measures how long a service needs until it is ready, and the most memory it has needed by then, beside reading
// the same keys from etcd page by page, and their bytes.
func startup(ctx context.Context, cfg config, t *table) error {
	w, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	defer w.close()
	bytes, err := seed(ctx, w.etcd, 100_000, 10_000)
	if err != nil {
		return err
	}
	var took, memory, listed []pair
	for range cfg.runs {
		began := time.Now()
		if err := readAll(ctx, w.etcd); err != nil {
			return err
		}
		floor := time.Since(began)
		s, err := w.service()
		if err != nil {
			return err
		}
		took = append(took, pair{s.readyAfter.Seconds(), floor.Seconds()})
		peak, err := s.memory("VmHWM")
		if err != nil { // another system than Linux
			peak = math.NaN()
		}
		memory = append(memory, pair{peak / mib, float64(bytes) / mib})
		if _, _, err := load(ctx, s.url+"/v1/tasks", 4, cfg.time); err != nil {
			s.stop()
			return err
		}
		if peak, err = s.memory("VmHWM"); err != nil {
			peak = math.NaN()
		}
		listed = append(listed, pair{peak / mib, float64(bytes) / mib})
		s.stop()
	}
	const what = "100,000 tasks on 10,000 instances: "
	t.add(row{"startup", what + "process start to ready", "s", took, []goal{below("< 10 s", 10)}})
	t.add(row{"startup", what + "peak resident memory", "MiB", memory, []goal{below("< 1024 MiB", 1024)}})
	t.add(row{"startup", what + "the same, after lists of all by 4 clients", "MiB", listed, []goal{below("< 1024 MiB", 1024)}})
	return nil
}

func readAll(ctx context.Context, etcd *clientv3.Client) error {
	for from := "ecs/"; ; {
		answer, err := etcd.Get(ctx, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd("ecs/")), clientv3.WithLimit(500))
		if err != nil || !answer.More {
			return err
		}
		from = string(answer.Kvs[len(answer.Kvs)-1].Key) + "\x00"
	}
}
