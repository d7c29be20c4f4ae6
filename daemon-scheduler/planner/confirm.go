package planner

import (
	"maps"
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

// forgetDeparted deletes the launch records of instances that left, once no StartTask call can be under way.
func forgetDeparted(f *facts, present []*instanceState) (d instancePlan) {
	here := make(map[string]bool, len(present))
	for _, i := range present {
		here[i.ARN] = true
	}
	for _, arn := range slices.Sorted(maps.Keys(f.Launches)) {
		if here[arn] {
			continue
		}
		launch := f.Launches[arn]
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
