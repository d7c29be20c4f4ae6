package environment

// FailureCause is what made a deployment fail.
type FailureCause string

// The causes.
const (
	FailureTasks            FailureCause = "" // too many tasks failed; the cause in records of earlier builds
	FailureProgressDeadline FailureCause = "progressDeadline"
	FailureAlarm            FailureCause = "alarm"
)

// failureConditions maps the causes to the type and reason of the condition that reports the failure.
var failureConditions = map[FailureCause]struct {
	condition ConditionType
	reason    string
}{
	FailureTasks:            {ConditionCircuitBreakerTripped, "TooManyFailures"},
	FailureProgressDeadline: {ConditionProgressDeadlineExceeded, "TasksNotAvailable"},
	FailureAlarm:            {ConditionAlarmTriggered, "InAlarm"},
}

// WithFailureCause records why the deployment fails.
func (e Environment) WithFailureCause(id string, cause FailureCause) Environment {
	d, ok := e.Deployments[id]
	if !ok {
		return e
	}
	d.FailureCause = cause
	return e.withDeployment(d)
}

// deploymentFailed reports the failure of the newest deployment that is no rollback, by its cause. It holds until a
// user creates another deployment. Rollbacks do not end it.
func deploymentFailed(e Environment) (Condition, bool) {
	for _, d := range e.History() {
		if d.RollbackOf != "" {
			continue
		}
		of, known := failureConditions[d.FailureCause]
		if !known { // of a later version
			of = failureConditions[FailureTasks]
		}
		return Condition{
			Type: of.condition, Reason: of.reason, Message: d.RolloutStateReason, LastTransitionTime: d.EndTime,
		}, d.Rollout() == RolloutFailed
	}
	return Condition{}, false
}
