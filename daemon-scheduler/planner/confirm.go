package planner

import (
	"cmp"
	"slices"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// awaitConfirmation waits until ECS is consistent about an open launch, then has the launch confirmed. The instance is
// occupied until then. Kept is the task that the cluster state shows in its place, zero if none.
func awaitConfirmation(f *facts, launch environment.Launch, kept environment.Task) instancePlan {
	due := f.confirmableAt(launch)
	switch {
	case f.Now.Before(due):
		return instancePlan{wait: waitConfirmation, requeueAt: due}
	case kept.ARN != "" && f.Fresh && launch.Deployment == kept.StartedBy: // no call to ECS is needed
		return record(StartedLaunch(launch, kept.ARN), recordTaskFound)
	}
	return confirm(launch, confirmUnanswered)
}

// confirmableAt returns when ECS's answer about the task of an open launch is final.
func (f *facts) confirmableAt(launch environment.Launch) time.Time {
	if seen, ok := f.FirstSeenAt[launch.Instance]; ok {
		return seen.Add(environment.LaunchWindow + f.StartConfirmTimeout)
	}
	return launch.NotAfter.Add(f.StartConfirmTimeout)
}

// awaitVisible waits until the cluster state shows a launch's task, and has the launch confirmed if that takes long.
func awaitVisible(f *facts, launch environment.Launch) instancePlan {
	due := latest(launch.NotAfter.Add(f.StartConfirmTimeout), launch.NextAttemptAt)
	if f.Now.Before(due) {
		return instancePlan{wait: waitInvisible, requeueAt: due}
	}
	return confirm(launch, confirmInvisible)
}

// departedLaunches returns the launch records of instances that left, by instance ARN.
func departedLaunches(f *facts, present []*instanceState) (departed []environment.Launch) {
	remaining := len(f.Launches)
	for _, i := range present {
		remaining -= oneIf(i.hasLaunch)
	}
	if remaining == 0 { // the usual case
		return nil
	}
	isPresent := make(map[string]bool, len(present))
	for _, i := range present {
		isPresent[i.ARN] = true
	}
	for arn, launch := range f.Launches {
		if !isPresent[arn] {
			departed = append(departed, launch)
		}
	}
	slices.SortFunc(departed, func(a, b environment.Launch) int { return cmp.Compare(a.Instance, b.Instance) })
	return departed
}

// forgetDeparted deletes the launch records of instances that left, once no StartTask call can be under way.
func forgetDeparted(f *facts, present []*instanceState) (d instancePlan) {
	for _, launch := range departedLaunches(f, present) {
		due := f.confirmableAt(launch)
		switch {
		case launch.State == environment.LaunchOpen && f.Now.Before(due):
			d = d.and(requeue(due))
		case !f.Fresh:
			d = d.and(requeue(f.Now.Add(staleRecheck)))
		default:
			d = d.and(forget(launch, forgetInstanceLeft))
		}
	}
	return d
}
