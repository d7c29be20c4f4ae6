package planner

import "time"

// releaseDuration is how long an instance stays released, without its daemon, for scale-in to remove it. Managed
// scaling of a capacity provider needs fifteen minutes to decide. Afterwards the daemon is started again.
const releaseDuration = 30 * time.Minute

// trackScaleIn records since when only daemons run on the instance, and releases the instance once that has lasted
// for ScaleInAfterMinutes.
func (b *planBuilder) trackScaleIn(i *instanceState) {
	after := time.Duration(b.spec.ScaleInAfterMinutes) * time.Minute
	next := i.launch
	switch {
	case after == 0 || !i.daemonsOnly: // the rule is off, or a workload task has arrived
		next.DaemonsOnlySince = time.Time{}
		next.ReleasedAt = time.Time{}
	case next.DaemonsOnlySince.IsZero(): // the last workload task has stopped
		next.DaemonsOnlySince = b.Now.UTC()
		b.requeueAt(b.Now.Add(after))
	case b.Now.Before(next.DaemonsOnlySince.Add(after)):
		b.requeueAt(next.DaemonsOnlySince.Add(after))
	case next.ReleasedAt.IsZero(): // long enough
		next.ReleasedAt = b.Now.UTC()
	default: // released, but not removed: the time begins again
		next.DaemonsOnlySince = b.Now.UTC()
		next.ReleasedAt = time.Time{}
	}
	if !next.DaemonsOnlySince.Equal(i.launch.DaemonsOnlySince) || !next.ReleasedAt.Equal(i.launch.ReleasedAt) {
		b.addAction(Action{Kind: Record, Instance: i.ARN, Launch: next, Reason: recordScaleIn})
	}
}

// releasedForScaleIn reports whether the instance is without the environment's tasks for now.
func (b *planBuilder) releasedForScaleIn(i *instanceState) bool {
	if !i.daemonsOnly || i.launch.ReleasedAt.IsZero() || b.spec.ScaleInAfterMinutes == 0 || i.isOpen() {
		return false
	}
	end := i.launch.ReleasedAt.Add(releaseDuration)
	if !b.Now.Before(end) {
		return false
	}
	b.requeueAt(end)
	return true
}
