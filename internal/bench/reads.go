package bench

import (
	"context"
	"fmt"
	"net/url"
	"strings"
)

// read is one kind of request.
type read struct {
	name, path  string
	connections int
	target      float64 // minimum ratio to the baseline
	conditional bool    // the client has the current state, so the response is 304
}

// readsOf returns a function that measures get and list among so many tasks. The baseline is a handler that writes the
// same bytes through the same HTTP server.
func readsOf(tasks int) func(context.Context, config, *table) error {
	return func(ctx context.Context, cfg config, t *table) error {
		s, err := newSystem(ctx, cfg)
		if err != nil {
			return err
		}
		defer s.close()
		instances := tasks / 10
		if _, err := seed(ctx, s.etcd, tasks, instances); err != nil {
			return err
		}
		css, err := s.startClusterState(ctx)
		if err != nil {
			return err
		}
		cluster := "/v1/tasks?" + url.Values{"cluster": {clusterName(0)}}.Encode()
		task := strings.TrimPrefix(taskKey(tasks/2, tasks/2%instances), "ecs/task/")
		for _, r := range []read{
			{"get", "/v1/tasks/" + task, 64, 0.75, false},
			{"get, maxStaleness=60", "/v1/tasks/" + task + "?maxStaleness=60", 64, 0.75, false},
			{"get, 304", "/v1/tasks/" + task, 64, 0.9, true},
			{"list, cluster=", cluster, 8, 0.75, false},
			{"list, cluster=, 304", cluster, 64, 0.9, true},
			{"list, cluster=, maxStaleness=60, 304", cluster + "&maxStaleness=60", 64, 0.9, true},
			{"list, startedBy=", "/v1/tasks?startedBy=bench-7", 8, 0.75, false},
			{"list of all", "/v1/tasks", 2, 0.75, false},
		} {
			if err := s.measureRead(ctx, css, t, tasks, r); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
		return nil
	}
}

func (s *system) measureRead(ctx context.Context, css *service, t *table, tasks int, r read) error {
	var header []string
	if r.conditional {
		_, response, _, err := fetch(ctx, css.url+r.path, nil)
		if err != nil {
			return err
		}
		header = []string{"If-None-Match: " + response.Get("ETag")}
	}
	baselineURL, stop, err := s.startResponseBaseline(ctx, css, r.path, header...)
	if err != nil {
		return err
	}
	defer stop()
	var rates []sample
	var latencies latencySamples
	for run := range s.cfg.runs + 1 {
		baseline, baselineRate, err := generateLoad(ctx, baselineURL+r.path, r.connections, s.cfg.duration, header...)
		if err != nil {
			return err
		}
		measured, rate, err := generateLoad(ctx, css.url+r.path, r.connections, s.cfg.duration, header...)
		if err != nil {
			return err
		}
		if run == 0 { // it warms up
			continue
		}
		rates = append(rates, sample{rate, baselineRate})
		latencies.add(measured, baseline)
	}
	section := fmt.Sprintf("reads-%dk", tasks/1000)
	name := fmt.Sprintf("%s of %d tasks, %d clients", r.name, tasks, r.connections)
	t.add(section, name, "requests/s", rates, ratioAtLeast(r.target))
	t.add(section, name+", p50", "ms", latencies.p50)
	t.add(section, name+", p99", "ms", latencies.p99)
	return nil
}
