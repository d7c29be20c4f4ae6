package planner

// holdReason returns why nothing may be started or stopped on instances with that target, but by drains, scale-in and
// deletion; empty if it may.
func (f *facts) holdReason(t *target) string {
	switch {
	case f.Environment.PausedByUser():
		return waitPaused
	case f.targets.canary.err != nil:
		return waitCanaryUnknown + f.targets.canary.err.Error()
	case t != nil && t.err != nil:
		return waitGroupUnknown + t.err.Error()
	}
	return ""
}

// hold decides for an instance on hold. Scale-in goes on, and returns the daemon that it has stopped.
func hold(f *facts, i *instanceState) instancePlan {
	releaseEnded := i.schedulable && !i.launch.ReleasedAt.IsZero() && i.isTarget(i.launch.Deployment)
	switch {
	case i.hasKept && !f.Fresh:
		return instancePlan{}
	case i.hasKept:
		return recordRunning(f, i)
	case releaseEnded && f.Fresh && len(i.live) == 0:
		return keepOrStart(f, i)
	}
	return waitFor(i.hold)
}

// rolloutPaused reports whether no task is replaced.
func (f *facts) rolloutPaused() bool { return f.Environment.RolloutPaused() || f.Alarms.Unknown }

// pauseRollout decides for an instance with live tasks while the rollout is paused: the tasks stay as they are.
func pauseRollout(f *facts, i *instanceState) instancePlan {
	if !i.hasKept {
		if f.Environment.RolloutPaused() {
			return waitFor(waitRolloutPaused)
		}
		return waitFor(waitAlarms)
	}
	d := f.stop(i.duplicates, ReasonDuplicate)
	if !f.Fresh || len(d.actions) > 0 {
		return d
	}
	return d.and(recordRunning(f, i))
}
