package bench

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// read is one kind of request.
type read struct {
	name, path  string
	connections int
	target      float64 // minimum ratio to the baseline, of requests per second of CPU time
	conditional bool    // the client has the current state, so the response is 304
	stale       bool    // the response need not wait for etcd
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
			{"get", "/v1/tasks/" + task, 64, 0.75, false, false},
			{"get, maxStaleness=60", "/v1/tasks/" + task + "?maxStaleness=60", 64, 0.75, false, true},
			{"get, 304", "/v1/tasks/" + task, 64, 0.9, true, false},
			{"list, cluster=", cluster, 8, 0.75, false, false},
			{"list, cluster=, 304", cluster, 64, 0.9, true, false},
			{"list, cluster=, maxStaleness=60, 304", cluster + "&maxStaleness=60", 64, 0.9, true, true},
			{"list, startedBy=", "/v1/tasks?startedBy=bench-7", 8, 0.75, false, false},
			{"list of all", "/v1/tasks", 2, 0.75, false, false},
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
	servers := []*service{css}
	endpoints := []string{""}
	if !r.stale {
		endpoints = append(endpoints, s.endpoint)
	}
	for _, endpoint := range endpoints {
		baseline, err := s.startResponseBaseline(ctx, css, endpoint, r.path, header...)
		if err != nil {
			return err
		}
		defer baseline.stop()
		servers = append(servers, baseline)
	}
	results := make([][]load, len(servers)) // by server, then run
	for run := range s.cfg.runs + 1 {
		for n, server := range servers {
			l, err := s.measureLoad(ctx, server, r, header)
			if err != nil {
				return err
			}
			if run > 0 { // the first one warms up
				results[n] = append(results[n], l)
			}
		}
	}
	t.addRead(fmt.Sprintf("reads-%dk", tasks/1000), tasks, r, results)
	return nil
}

// addRead adds the rows of a kind of request. The results are those of the service, of the handler that writes the same
// bytes, and perhaps of one that also waits for etcd.
func (t *table) addRead(section string, tasks int, r read, results [][]load) {
	var rates, costs, bound []sample
	var latencies latencySamples
	for run, measured := range results[0] {
		baseline := results[1][run]
		rates = append(rates, sample{measured.rate, baseline.rate})
		costs = append(costs, sample{measured.perCPUSecond, baseline.perCPUSecond})
		latencies.add(measured.latencies, baseline.latencies)
		if len(results) > 2 {
			bound = append(bound, sample{measured.perCPUSecond, results[2][run].perCPUSecond})
		}
	}
	name := fmt.Sprintf("%s of %d tasks, %d clients", r.name, tasks, r.connections)
	t.add(section, name, "requests/s of CPU", costs, ratioAtLeast(r.target))
	if bound != nil {
		t.addBound(name+", beside a handler that also waits for etcd", "requests/s of CPU", bound, ratioAtLeast(r.target))
	}
	t.add(section, name+", rate", "requests/s", rates)
	t.add(section, name+", p50", "ms", latencies.p50)
	t.add(section, name+", p99", "ms", latencies.p99)
}

// load is the result of requests to one server. The CPU time is that of the server, etcd and the load generator
// together: on a machine that does nothing else, the requests per second of CPU time have the same ratio to the
// baseline's as the requests per second have. Other programs change the latter only.
type load struct {
	latencies          []time.Duration
	rate, perCPUSecond float64
}

// measureLoad sends the requests of r to a server for the configured duration.
func (s *system) measureLoad(ctx context.Context, server *service, r read, header []string) (l load, err error) {
	cpu := func() float64 { return cpuTime(server.Process, s.member) + ownCPUTime() }
	before := cpu()
	l.latencies, l.rate, err = generateLoad(ctx, server.url+r.path, r.connections, s.cfg.duration, header...)
	l.perCPUSecond = float64(len(l.latencies)) / (cpu() - before)
	return l, err
}
