package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// reads measures get and list of tasks beside a handler that writes the same bytes over the same HTTP server.
func reads(ctx context.Context, cfg config, t *table, tasks int) error {
	w, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	defer w.close()
	if _, err := seed(ctx, w.etcd, tasks, tasks/10); err != nil {
		return err
	}
	s, err := w.service()
	if err != nil {
		return err
	}
	defer s.stop()
	for _, read := range []struct {
		name, path  string
		connections int
	}{
		{"get", "/v1/tasks/" + strings.TrimPrefix(taskKey(tasks/2, tasks/2%(tasks/10)), "ecs/task/"), 64},
		{"list, cluster=", "/v1/tasks?" + url.Values{"cluster": {clusterName(0)}}.Encode(), 8},
		{"list, startedBy=", "/v1/tasks?startedBy=bench-7", 8},
		{"list of all", "/v1/tasks", 2},
	} {
		if err := readsOf(w, s, t, tasks, read.name, read.path, read.connections); err != nil {
			return fmt.Errorf("%s: %w", read.name, err)
		}
	}
	return nil
}

func readsOf(w *world, s *service, t *table, tasks int, name, path string, connections int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	floor, address, err := w.start(true, self, "floor", s.url+path)
	if err != nil {
		return err
	}
	defer floor.stop()
	var rate, p50, p99 []pair
	for run := range w.cfg.runs + 1 {
		var r, half, most pair
		took, perSecond, err := load(w.ctx, "http://"+address+path, connections, w.cfg.time)
		if err != nil {
			return err
		}
		r.floor = perSecond
		half.floor, most.floor = percentiles(took)
		if took, perSecond, err = load(w.ctx, s.url+path, connections, w.cfg.time); err != nil {
			return err
		}
		r.measured = perSecond
		half.measured, most.measured = percentiles(took)
		if run > 0 { // the first one is to warm up
			rate, p50, p99 = append(rate, r), append(p50, half), append(p99, most)
		}
	}
	section := fmt.Sprintf("reads-%dk", tasks/1000)
	what := fmt.Sprintf("%s of %d tasks, %d clients", name, tasks, connections)
	t.add(row{section, what, "requests/s", rate, []goal{ratioAtLeast(0.7)}})
	t.add(row{section, what + ", p50", "ms", p50, nil})
	t.add(row{section, what + ", p99", "ms", p99, nil})
	return nil
}
