package planner

import (
	"github.com/blox/blox/daemon-scheduler/environment"
)

// withUnreachable returns counts with the unreachable and the misscheduled instances.
func withUnreachable(f *facts, counts environment.Counts, instances []*instanceState) environment.Counts {
	if !f.deployed() {
		return counts
	}
	for _, i := range instances {
		switch {
		case !i.matches:
			counts.Misscheduled += oneIf(len(i.live) > 0)
		case i.Status == statusActive && !i.AgentConnected:
			counts.Unreachable++
		}
	}
	return counts
}

// countDaemons counts the desired instances that lack a RUNNING task of their target, and surplus live tasks of
// targets.
func countDaemons(f *facts, instances []*instanceState) (missing, duplicates int) {
	if !f.deployed() {
		return 0, 0
	}
	for _, i := range instances {
		desired := i.schedulable || !i.unreachableTo.IsZero()
		missing += oneIf(desired && !(i.hasKept && i.kept.Running()))
		duplicates += len(i.duplicates)
	}
	return missing, duplicates
}
