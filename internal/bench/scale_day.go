package bench

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

const (
	simAccount   = "123456789012" // of the simulator
	dailyTasks   = 1_000_000
	peakOfDay    = 10 // times the average rate of the day
	taskLifetime = 5 * time.Second
	dayClients   = 16 // concurrent requests to the simulator
)

// measureDay runs short tasks in all clusters at ten times the average rate of a million a day. It measures the age of
// events when they are stored, the latency of gets, and what the services use.
func (w *scale) measureDay(ctx context.Context) error {
	css := w.scheduler.clusterState
	before, err := css.metrics(ctx)
	if err != nil {
		return err
	}
	probe := css.startProbeClient(ctx, "/v1/instances?limit=1&cluster="+url.QueryEscape(w.clusters[7].arn()), `"items":[{`)
	defer probe.stop()
	tasks := 0
	load := w.cfg.load
	if err := w.measureCPU("at the day's peak", func() (err error) {
		tasks, err = w.runTasks(ctx, load)
		return err
	}); err != nil {
		return err
	}
	w.add(fmt.Sprintf("the day's peak, for %s: application tasks", load), "tasks/s", float64(tasks)/load.Seconds())
	if err := w.table.addProbeClient(scaleSection, "the same", probe); err != nil {
		return err
	}
	after, err := css.metrics(ctx)
	if err != nil {
		return err
	}
	const events = "blox_css_ingest_events_total{"
	w.add("the same: events", "events/s", (sumOf(after, events)-sumOf(before, events))/load.Seconds())
	const age = "blox_css_ingest_event_age_seconds_bucket{"
	w.add("the same: age of an event when it is stored, p99, at most", "s", quantile(before, after, age, 0.99))
	w.addUse("after the peak")
	return w.addDatabase(ctx, "after the peak")
}

// runTasks starts tasks at the peak rate in all clusters for the duration, and stops each after its lifetime. It
// returns the number of the tasks.
func (w *scale) runTasks(ctx context.Context, duration time.Duration) (started int, err error) {
	limit := rate.NewLimiter(dailyTasks*peakOfDay/(24*60*60.0), 1)
	start := time.Now()
	var requests errgroup.Group
	requests.SetLimit(dayClients * 100) // those that wait for the end of their task included
	for time.Since(start) < duration {
		if err := limit.Wait(ctx); err != nil {
			return started, err
		}
		cluster := w.clusters[started%len(w.clusters)]
		started++
		requests.Go(func() error { return w.runTask(ctx, cluster) })
	}
	return started, requests.Wait()
}

// runTask runs a task on Fargate, which uses no instance.
func (w *scale) runTask(ctx context.Context, cluster scaleCluster) error {
	var task struct{ Task string }
	place := "&region=" + cluster.region
	path := "tasks/fargate?family=" + scaleFamily + "&cluster=" + cluster.name + place
	if err := w.simulator(ctx, http.MethodPost, path, "", &task); err != nil {
		return err
	}
	select {
	case <-time.After(taskLifetime):
	case <-ctx.Done():
		return ctx.Err()
	}
	return w.simulator(ctx, http.MethodPost, "tasks/kill?exitCode=0&task="+url.QueryEscape(task.Task)+place, "", nil)
}

// sumOf returns the sum of the values of the series whose names begin with the prefix.
func sumOf(values map[string]float64, prefix string) (sum float64) {
	for name, value := range values {
		if strings.HasPrefix(name, prefix) {
			sum += value
		}
	}
	return sum
}

// quantile returns the upper bound of the bucket that holds the quantile of what a histogram without other labels
// observed between both readings. The bound is infinite if the values exceed all bounds.
func quantile(before, after map[string]float64, buckets string, q float64) float64 {
	counts := map[float64]float64{} // cumulative, by upper bound
	for name, value := range after {
		bound, found := strings.CutPrefix(name, buckets+`le="`)
		if !found {
			continue
		}
		if limit, err := strconv.ParseFloat(strings.TrimSuffix(bound, `"}`), 64); err == nil {
			counts[limit] = value - before[name]
		}
	}
	lowest := math.Inf(1)
	for limit, count := range counts {
		if count >= q*counts[math.Inf(1)] {
			lowest = min(lowest, limit)
		}
	}
	return lowest
}
