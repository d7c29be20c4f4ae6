package command

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// rolloutFlags adds the flags of the deployment configuration and of the health of tasks.
func (s *environmentSpec) rolloutFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Int64Var(&s.minimum, "minimum-healthy-percent", 90,
		"minimum `percent` of instances with a running task during a rollout")
	flags.Int64Var(&s.maximum, "maximum-percent", 100,
		"maximum `percent`: 100 stops the old task first; up to 200 starts the new task first on that many more instances")
	flags.Int64Var(&s.maxUnavailable, "max-unavailable", 0,
		"maximum `number` of instances without a running task during a rollout, instead of --minimum-healthy-percent")
	flags.Int64Var(&s.maxSurge, "max-surge", 0,
		"start the new task first, on at most this `number` of instances at a time, instead of --maximum-percent")
	flags.StringVar(&s.breaker, "circuit-breaker", breakerOff,
		"circuit breaker `mode` for a deployment that keeps failing: off, pause (fail and pause) or rollback (restore the "+
			"newest completed deployment)")
	flags.StringVar(&s.threshold, "circuit-breaker-threshold", "50%",
		"`failures` that trip the circuit breaker: a number, or a percentage of the instances (3 to 200 failures)")
	flags.BoolVar(&s.resetFailures, "circuit-breaker-reset", false,
		"restart the count of failures when a new task is healthy on a further instance")
	s.alarms.define(cmd)
	flags.Int64Var(&s.bake, "bake-minutes", 0, "`minutes` that all tasks must run before a deployment completes")
	flags.Int64Var(&s.progressDeadline, "progress-deadline-minutes", 0,
		"`minutes` within which a new task must become RUNNING and HEALTHY; 0: no deadline")
	flags.Int64Var(&s.minimumHealthy, "minimum-healthy-seconds", 0,
		"`seconds` that a new task must have been available before the rollout continues")
	flags.StringVar(&s.unhealthyPolicy, "unhealthy-policy", "replace",
		"`policy` for tasks whose container health checks fail: replace or keep")
	flags.BoolVar(&s.slowStart, "slow-start", true,
		"start the first deployment in batches of 1, 2, 4, 8, … instances; =false starts all tasks at once")
	flags.StringVar(&s.spreadBy, "spread-by", "",
		"roll out in waves by this `attribute` of the instances, such as attribute:ecs.availability-zone")
	flags.Int64Var(&s.canaryPercent, "canary-percent", 0,
		"roll out to this `percent` of the instances first, to the others after \"blox deployments promote\"")
	flags.StringVar(&s.canaryQuery, "canary-query", "",
		"roll out first to the instances that match this `query`, instead of --canary-percent")
	flags.StringSliceVar(&s.canarySteps, "canary-step", nil,
		"`step` of a canary, such as 10%, or 5 for 5 instances; 10%:30 promotes it after 30 minutes; repeatable")
	_ = cmd.RegisterFlagCompletionFunc("unhealthy-policy", fixed("replace", "keep"))
	_ = cmd.RegisterFlagCompletionFunc("circuit-breaker", fixed(breakerOff, breakerPause, breakerRollback))
}

// parseSteps parses the steps of a canary: size or size:minutes, of which size is a number or a percentage.
func parseSteps(given []string) ([]any, error) {
	steps := []any{}
	for _, text := range given {
		size, pause, paused := strings.Cut(text, ":")
		digits, isPercent := strings.CutSuffix(size, "%")
		value, err := strconv.ParseInt(digits, 10, 32)
		unit := "count"
		if isPercent {
			unit = "percent"
		}
		step := map[string]any{unit: value}
		if paused && err == nil {
			step["pauseMinutes"], err = strconv.ParseInt(pause, 10, 32)
		}
		if err != nil {
			return nil, fmt.Errorf("%q: must be a percentage or a number of instances, and minutes, such as 10%%:30", text)
		}
		steps = append(steps, step)
	}
	return steps, nil
}
