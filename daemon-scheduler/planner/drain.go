package planner

// drain keeps the environment's tasks on a draining instance until every workload task and every daemon with a lower
// drain order has stopped. Then it stops them, so that the drain can finish.
func (b *planBuilder) drain(i *instanceState) {
	tasks := b.liveTasks[i.ARN]
	if len(tasks) == 0 {
		b.addWait(i.ARN, waitStatus(i.Status))
		return
	}
	if b.holdReason == "" && b.Fresh {
		duplicates, _ := b.splitOthers(i)
		if b.stopOthers(i.ARN, duplicates) {
			return
		}
	}
	switch {
	case !i.daemonsOnly:
		b.addWait(i.ARN, waitWorkload)
	case b.hasEarlierDaemons(i.ARN):
		b.addWait(i.ARN, waitDrainOrder)
	case !b.Fresh:
		b.addWait(i.ARN, waitNotFresh)
	default:
		b.stopTasks(i.ARN, tasks, ReasonDraining)
	}
}

// hasEarlierDaemons reports whether a live daemon with a lower drain order is on the instance.
func (b *planBuilder) hasEarlierDaemons(instance string) bool {
	lowest, found := b.lowestDrainOrder[instance]
	return found && lowest < b.spec.DrainOrder
}
