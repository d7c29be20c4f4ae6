package robustness

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/blox/blox/internal/ecssim"
)

const (
	promiseBudget = "Blox keeps to ECS's rates"
	// maxThrottled is the share of its calls that ECS may throttle while faults let Blox learn the rates again: a service
	// that has just started takes its buckets for full.
	maxThrottled = 0.05
)

// checkBudget checks how many calls of Blox ECS's token buckets throttled: none without faults.
func (r *scenarioRun) checkBudget(ctx context.Context) {
	if !r.cfg.limits {
		return
	}
	for _, p := range r.places { // each has token buckets of its own
		counters, err := r.sim.in(p).counters(ctx)
		if err != nil {
			r.history.violation(promiseBudget, "counters: %s", err)
			return
		}
		if detail := overBudget(counters, len(r.cfg.faults) > 0); detail != "" {
			r.history.violation(promiseBudget, "%s: %s", p, detail)
		}
	}
}

// overBudget returns the actions of which ECS throttled too many calls, "" if there are none.
func overBudget(counters ecssim.Counters, faults bool) (detail string) {
	for _, action := range slices.Sorted(maps.Keys(counters.Limited)) {
		calls, throttled := 0, counters.Limited[action]
		for _, n := range counters.Calls[action] {
			calls += n
		}
		if !faults && throttled > 0 || float64(throttled) > maxThrottled*float64(calls) {
			detail += fmt.Sprintf("ECS throttled %d of %d calls of %s. ", throttled, calls, action)
		}
	}
	return detail
}
