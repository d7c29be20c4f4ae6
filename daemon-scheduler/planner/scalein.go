package planner

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// releaseDuration is how long an instance stays released, without its daemon, for scale-in to remove it. Managed
// scaling of a capacity provider needs fifteen minutes to decide. Afterwards the daemon is started again.
const releaseDuration = 30 * time.Minute

// trackScaleIn records since when only daemons run on an instance that has its task, and releases the instance once
// that has lasted for ScaleInAfterMinutes.
func trackScaleIn(f *facts, i *instanceState) instancePlan {
	after := time.Duration(i.target.spec.ScaleInAfterMinutes) * time.Minute
	next := i.launch
	var d instancePlan
	switch {
	case after == 0 || !i.daemonsOnly: // the rule is off, or a workload task has arrived
		next.DaemonsOnlySince = time.Time{}
		next.ReleasedAt = time.Time{}
	case next.DaemonsOnlySince.IsZero(): // the last workload task has stopped
		next.DaemonsOnlySince = f.Now.UTC()
		d = requeue(f.Now.Add(after))
	case f.Now.Before(next.DaemonsOnlySince.Add(after)):
		d = requeue(next.DaemonsOnlySince.Add(after))
	case next.ReleasedAt.IsZero(): // long enough
		next.ReleasedAt = f.Now.UTC()
	default: // released, but not removed: the time begins again
		next.DaemonsOnlySince = f.Now.UTC()
		next.ReleasedAt = time.Time{}
	}
	if !next.DaemonsOnlySince.Equal(i.launch.DaemonsOnlySince) || !next.ReleasedAt.Equal(i.launch.ReleasedAt) {
		d = d.and(record(next, recordScaleIn))
	}
	return d
}

// releasedUntil returns until when an instance with daemons only is without the environment's tasks; zero if it is
// not.
func (f *facts) releasedUntil(t *target, launch environment.Launch) time.Time {
	released := !launch.ReleasedAt.IsZero() && launch.State != environment.LaunchOpen
	if !released || t == nil || t.spec.ScaleInAfterMinutes == 0 {
		return time.Time{}
	}
	if end := launch.ReleasedAt.Add(releaseDuration); f.Now.Before(end) {
		return end
	}
	return time.Time{}
}

// release stops all tasks on a released instance. It goes on while the environment is on hold.
func release(f *facts, i *instanceState) instancePlan {
	d := f.stop(i.live, ReasonScaleIn).and(requeue(i.releasedTo))
	if len(d.actions) == 0 {
		d.wait = waitReleased
	}
	return d
}
