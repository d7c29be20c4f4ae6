package main

import (
	"cmp"
	"slices"
)

// Instance is a container instance.
type Instance struct {
	ARN, Zone string
	Leaving   bool // tasks are to go elsewhere: it is not ACTIVE
	Closed    bool // nothing can be started there now
}

// Task is a live task that is to go on running.
type Task struct {
	ARN, Instance string
	Running       bool
}

// Plan is what brings have to want: instances to start a task on, and tasks to stop; nothing when all is well. A new task
// runs before the one that it replaces is stopped.
func Plan(want int, instances []Instance, have []Task) (start, stop []string) {
	zone, leaving := map[string]string{}, map[string]bool{}
	for _, i := range instances {
		zone[i.ARN], leaving[i.ARN] = i.Zone, i.Leaving
	}
	var staying, moving []Task
	load, running := map[string]int{}, 0 // of instances by ARN and of zones by name; the staying ones that run
	for _, t := range have {
		if leaving[t.Instance] {
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
	fullness := func(a, b string) int { // of their zones, then their own
		return cmp.Or(load["zone "+zone[a]]-load["zone "+zone[b]], load[a]-load[b], cmp.Compare(a, b))
	}
	var open []string
	for _, i := range instances {
		if !i.Leaving && !i.Closed {
			open = append(open, i.ARN)
		}
	}
	add := func(on string) {
		start = append(start, on)
		load[on]++
		load["zone "+zone[on]]++
	}

	for n := len(staying); n < want && len(open) > 0; n++ {
		add(slices.MinFunc(open, fullness))
	}
	if len(staying) == want && running == want { // one more where it is emptier by two; then there is one too many
		if to := better(staying, open, load, zone, fullness); to != "" {
			add(to)
		}
	}
	slices.SortFunc(staying, func(a, b Task) int { return cmp.Or(-fullness(a.Instance, b.Instance), cmp.Compare(a.ARN, b.ARN)) })
	for _, t := range staying {
		if t.Running && running > want {
			stop = append(stop, t.ARN)
			break // the loads are others now
		}
	}
	if running >= want {
		for _, t := range moving {
			stop = append(stop, t.ARN)
		}
	}
	return start, stop
}

// better is an open instance that has, or whose zone has, two tasks less than one of the tasks' own; "" for none.
func better(tasks []Task, open []string, load map[string]int, zone map[string]string, fullness func(a, b string) int) string {
	slices.SortFunc(open, fullness)
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
