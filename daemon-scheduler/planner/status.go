package planner

import (
	"cmp"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Summary is what people are shown of a State.
type Summary struct {
	Counts    environment.Counts
	Instances []environment.InstanceStatus // by ARN
	// ChangesAt is when the summary may change although the state has not; zero if it cannot.
	ChangesAt time.Time
}

// Summarize returns the summary of s.
func Summarize(s State) Summary {
	f := newFacts(s)
	plan, instances, count := makePlan(f)
	at := Earliest(plan.RequeueAt, Earliest(count.settlesAt, count.overdueAt))
	for _, i := range instances {
		at = Earliest(at, Earliest(i.unreachableTo, Earliest(i.releasedTo, i.minReadyAt)))
	}
	return Summary{Counts: plan.Counts, Instances: instanceStatuses(f, plan, instances), ChangesAt: at}
}

func instanceStatuses(f *facts, plan Plan, instances []*instanceState) []environment.InstanceStatus {
	reasons := map[string]string{} // by instance ARN
	for _, a := range plan.Actions {
		reasons[a.Instance] = a.Reason
	}
	for _, w := range plan.Waits {
		reasons[w.Instance] = w.Reason
	}
	failed := map[string]string{} // reasons by instance ARN
	for _, failure := range plan.Failed {
		failed[failure.Arn] = failure.Reason
	}
	statuses := make([]environment.InstanceStatus, 0, len(instances))
	for _, i := range instances {
		statuses = append(statuses, f.instanceStatus(i, reasons[i.ARN], failed[i.ARN]))
	}
	return statuses
}

// instanceStatus returns the status of one instance. Reason is the plan's for it, failure that of a failed instance.
func (f *facts) instanceStatus(i *instanceState, reason, failure string) environment.InstanceStatus {
	status := environment.InstanceStatus{Instance: i.Instance, Reason: reason}
	if i.hasLaunch && i.isTarget(i.launch.Deployment) {
		status.Attempts = i.launch.Attempts
		status.NextAttemptAt = i.launch.NextAttemptAt
	}
	shown := i.kept
	if !i.hasKept && len(i.live) > 0 {
		shown = i.live[0]
	}
	status.Task = shown.ARN
	status.TaskStatus = shown.LastStatus
	if shown.HealthChecked {
		status.Health = cmp.Or(shown.Health, environment.HealthUnknown)
	}
	status.Deployment = shown.StartedBy
	switch {
	case !f.deployed():
		setPhase(&status, environment.InstanceExcluded, statusNothing)
	case f.Environment.IsDeleting():
		setPhase(&status, environment.InstanceExcluded, statusDeleting)
	case !i.matches:
		setPhase(&status, environment.InstanceExcluded, statusNotMatching)
	case i.released():
		setPhase(&status, environment.InstanceExcluded, waitReleased)
	case i.hasKept && !i.isTarget(f.current().ID):
		setPhase(&status, environment.InstanceOutdated, waitPromotion)
	case i.hasKept && shown.Available():
		setPhase(&status, environment.InstanceRunning, f.lostAgentReason(i))
	case failure != "":
		setPhase(&status, environment.InstanceFailed, failure)
		status.Reason += failureDetail(i)
	case i.hasKept && shown.Running():
		setPhase(&status, environment.InstancePending, waitHealthy)
	case i.hasKept:
		setPhase(&status, environment.InstancePending, f.startingReason(i))
	case len(i.live) > 0:
		status.Phase = environment.InstanceOutdated
	case i.Status == statusActive:
		status.Phase = environment.InstanceMissing
		status.Reason += f.lastStopDetail(i)
	default:
		status.Phase = environment.InstanceExcluded
	}
	return status
}

// setPhase sets the phase, and the reason unless the plan has a more specific one.
func setPhase(status *environment.InstanceStatus, phase environment.InstancePhase, reason string) {
	status.Phase = phase
	if status.Reason == "" {
		status.Reason = reason
	}
}
