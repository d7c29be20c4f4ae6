package main

import (
	"cmp"
	"slices"
)

// Instance is a container instance.
type Instance struct {
	ARN, Zone     string
	Draining      bool // its tasks must move: the instance is not ACTIVE
	Unschedulable bool // no task can start there at present
}

// Task is a live task that no one has stopped.
type Task struct {
	ARN, Instance string
	Running       bool
}

// Plan returns the instances to start a task on and the tasks to stop, so that desired tasks run. It returns nothing
// if the actual tasks are as desired. A replacement runs before the task that it replaces stops.
func Plan(desired int, instances []Instance, actual []Task) (start, stop []string) {
	zone, draining := map[string]string{}, map[string]bool{}
	for _, i := range instances {
		zone[i.ARN] = i.Zone
		draining[i.ARN] = i.Draining
	}
	var staying, moving []Task
	load := map[string]int{} // tasks by instance ARN and by "zone <name>"
	running := 0             // running tasks that stay
	for _, t := range actual {
		if draining[t.Instance] {
			moving = append(moving, t)
			continue
		}
		staying = append(staying, t)
		load[t.Instance]++
		load["zone "+zone[t.Instance]]++
		if t.Running {
			running++
		}
	}
	byLoad := func(a, b string) int { // the zone's load first, then the instance's
		return cmp.Or(load["zone "+zone[a]]-load["zone "+zone[b]], load[a]-load[b], cmp.Compare(a, b))
	}
	var open []string
	for _, i := range instances {
		if !i.Draining && !i.Unschedulable {
			open = append(open, i.ARN)
		}
	}
	add := func(on string) {
		start = append(start, on)
		load[on]++
		load["zone "+zone[on]]++
	}

	for n := len(staying); n < desired && len(open) > 0; n++ {
		add(slices.MinFunc(open, byLoad))
	}
	if len(staying) == desired && running == desired { // start one on a less loaded instance; the next plan stops one
		if to := rebalanceTarget(staying, open, load, zone, byLoad); to != "" {
			add(to)
		}
	}
	slices.SortFunc(staying, func(a, b Task) int {
		return cmp.Or(-byLoad(a.Instance, b.Instance), cmp.Compare(a.ARN, b.ARN))
	})
	for _, t := range staying {
		if t.Running && running > desired {
			stop = append(stop, t.ARN)
			break // the loads have changed
		}
	}
	if running >= desired {
		for _, t := range moving {
			stop = append(stop, t.ARN)
		}
	}
	return start, stop
}

// rebalanceTarget returns an open instance that has at least two tasks fewer than another, or whose zone has; "" if
// there is none.
func rebalanceTarget(
	tasks []Task, open []string, load map[string]int, zone map[string]string, byLoad func(a, b string) int,
) string {
	slices.SortFunc(open, byLoad)
	for _, to := range open {
		for _, t := range tasks {
			from := t.Instance
			if load["zone "+zone[from]]-load["zone "+zone[to]] >= 2 || zone[from] == zone[to] && load[from]-load[to] >= 2 {
				return to
			}
		}
	}
	return ""
}
