package planner

import "github.com/blox/blox/daemon-scheduler/environment"

// InstanceStatuses returns the status of each instance of the cluster, by ARN.
func InstanceStatuses(s State) []environment.InstanceStatus {
	b, instances := buildPlan(s)
	reasons := map[string]string{}
	for _, a := range b.plan.Actions {
		reasons[a.Instance] = a.Reason
	}
	for _, w := range b.plan.Waits {
		reasons[w.Instance] = w.Reason
	}
	failed := map[string]bool{}
	for _, f := range b.plan.Failed {
		failed[f.Arn] = true
	}
	var statuses []environment.InstanceStatus
	for _, i := range instances {
		statuses = append(statuses, b.instanceStatus(i, reasons[i.ARN], failed[i.ARN]))
	}
	return statuses
}

func (b *planBuilder) instanceStatus(i *instanceState, reason string, failed bool) environment.InstanceStatus {
	status := environment.InstanceStatus{Instance: i.Instance, Reason: reason}
	if i.hasLaunch && i.launch.Deployment == i.target.ID {
		status.Attempts = i.launch.Attempts
		status.NextAttemptAt = i.launch.NextAttemptAt
	}
	shown := i.kept
	if !i.hasKept && len(i.others) > 0 {
		shown = i.others[0]
	}
	status.Task = shown.ARN
	status.TaskStatus = shown.LastStatus
	status.Deployment = shown.StartedBy
	switch {
	case !b.deployed:
		setPhase(&status, environment.InstanceExcluded, statusNothing)
	case b.Environment.IsDeleting():
		setPhase(&status, environment.InstanceExcluded, statusDeleting)
	case !i.matches:
		setPhase(&status, environment.InstanceExcluded, statusNotMatching)
	case i.released:
		setPhase(&status, environment.InstanceExcluded, waitReleased)
	case i.hasKept && i.target.ID != b.current.ID:
		setPhase(&status, environment.InstanceOutdated, waitPromotion)
	case i.hasKept && shown.Running():
		status.Phase = environment.InstanceRunning
	case failed:
		setPhase(&status, environment.InstanceFailed, i.launch.Reason)
		if i.launch.Detail != "" {
			status.Reason += " (" + i.launch.Detail + ")"
		}
	case i.hasKept:
		status.Phase = environment.InstancePending
	case len(i.others) > 0:
		status.Phase = environment.InstanceOutdated
	case i.Status == statusActive:
		status.Phase = environment.InstanceMissing
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
