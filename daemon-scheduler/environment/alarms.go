package environment

import (
	"slices"
	"strings"
)

// Alarms are the CloudWatch alarms that fail a deployment, in ECS's words.
type Alarms struct {
	Names    []string
	Enable   bool `json:",omitempty"`
	Rollback bool `json:",omitempty"` // roll back; otherwise pause the environment
}

// MonitoredAlarms returns the names of the alarms whose states the deployment in progress depends on; none while users
// have paused the environment. A rollback depends on none: there is nothing else to roll back to.
func (e Environment) MonitoredAlarms() []string {
	d, inProgress := e.InProgress()
	if !inProgress || d.RollbackOf != "" || len(d.IgnoredAlarms) > 0 || e.IsDeleting() || e.PausedByUser() {
		return nil
	}
	alarms := e.RevisionFor(d).Spec.DeploymentConfiguration.Alarms
	if alarms == nil || !alarms.Enable {
		return nil
	}
	return alarms.Names
}

// WithAlarmsChecked records the alarms that are in the ALARM state at the start of the deployment in progress. With
// any, the deployment ignores all alarms, as in ECS: it may be what ends them.
func (e Environment) WithAlarmsChecked(inAlarm []string) Environment {
	d, inProgress := e.InProgress()
	if !inProgress {
		return e
	}
	d.AlarmsChecked = true
	d.IgnoredAlarms = slices.Clone(inAlarm)
	return e.withDeployment(d)
}

// rollsBack reports whether the deployment rolls back when it fails.
func (e Environment) rollsBack(d Deployment) bool {
	configuration := e.RevisionFor(d).Spec.DeploymentConfiguration
	if d.FailureCause == FailureAlarm {
		return configuration.Alarms != nil && configuration.Alarms.Rollback
	}
	return configuration.CircuitBreaker.Rollback
}

// ListAlarms returns the names of alarms in words: "Alarm a", or "Alarms a, b".
func ListAlarms(names []string) string {
	if len(names) == 1 {
		return "Alarm " + names[0]
	}
	return "Alarms " + strings.Join(names, ", ")
}

func wasOrWere(names []string) string {
	if len(names) == 1 {
		return "was"
	}
	return "were"
}
