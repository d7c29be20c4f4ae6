package e2e

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/ecssim/conformance"
)

// throttledCodes are the errors by which the services throttle.
var throttledCodes = []string{
	"ThrottlingException", "RequestThrottled", "Throttling", "LimitExceededException",
	"ProvisionedThroughputExceededException",
}

// print writes what happened, and the calls by operation.
func (r *longRun) print(to io.Writer) {
	fmt.Fprintf(to, "%s, seed %d: %v; %d requests refused by Blox\n", *longRunDuration, *longRunSeed, r.done, r.refused)
	throttled := map[string]int{}
	for _, sim := range []*ecssim.Sim{r.scheduler.sim, r.member.sim} {
		for action, outcomes := range sim.Counters().Calls {
			for _, code := range throttledCodes {
				throttled[action] += outcomes[code]
			}
		}
		fmt.Fprintf(to, "events: %+v\n", sim.Counters().Events)
	}
	counts := r.validated.Counts()
	for action, count := range r.member.validated.Counts() {
		counts[action] = sum(counts[action], count)
	}
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "operation\tcalls\tanswers\terrors\tof these throttled\tlost")
	var total conformance.Count
	for _, action := range slices.Sorted(maps.Keys(counts)) {
		c := counts[action]
		total = sum(total, c)
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\n", action, c.Requests, c.Answers, c.Errors,
			throttled[action[strings.IndexByte(action, '.')+1:]], c.Requests-c.Answers-c.Errors)
	}
	fmt.Fprintf(table, "total\t%d\t%d\t%d\t\t%d\n", total.Requests, total.Answers, total.Errors,
		total.Requests-total.Answers-total.Errors)
	_ = table.Flush()
	fmt.Fprintf(to, "violations: %d\n", len(r.validated.Violations())+len(r.member.validated.Violations()))
}

func sum(a, b conformance.Count) conformance.Count {
	return conformance.Count{
		Requests: a.Requests + b.Requests, Answers: a.Answers + b.Answers, Errors: a.Errors + b.Errors,
	}
}
