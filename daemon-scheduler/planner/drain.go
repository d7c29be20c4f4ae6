package planner

// drain keeps the environment's tasks on a draining instance until every workload task and every daemon with a lower
// drain order has stopped. Then it stops them, so that the drain can finish. It goes on while the environment is on
// hold: a drain that waits holds up managed termination.
func drain(f *facts, i *instanceState) instancePlan {
	if len(i.live) == 0 {
		return waitFor(waitStatus(i.Status))
	}
	if i.hold == "" {
		if d := f.stop(i.duplicates, ReasonDuplicate); len(d.actions) > 0 {
			return d
		}
	}
	switch {
	case !i.daemonsOnly:
		return waitFor(waitWorkload)
	case hasEarlierDaemons(f, i):
		return waitFor(waitDrainOrder)
	case !f.Fresh:
		return waitFor(waitNotFresh)
	}
	return f.stop(i.live, ReasonDraining)
}

// hasEarlierDaemons reports whether a live daemon with a lower drain order is on the instance.
func hasEarlierDaemons(f *facts, i *instanceState) bool {
	lowest, found := f.lowestDrainOrder[i.ARN]
	return found && lowest < drainOrder(f, i)
}

// drainOrder is the drain order of the environment's tasks on the instance, as other environments see it there: if two
// environments disagreed about it, they could wait for each other.
func drainOrder(f *facts, i *instanceState) int {
	order, known := 0, false
	for _, task := range i.live {
		if o, ok := f.DrainOrders[task.StartedBy]; ok && (!known || o < order) {
			order, known = o, true
		}
	}
	switch {
	case known:
		return order
	case i.target != nil:
		return i.target.spec.DrainOrder
	}
	return f.targets.current.spec.DrainOrder
}
