package planner

import (
	"fmt"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Alarms is what is known of the alarms that the current deployment monitors; zero if it monitors none. Those that were
// in the ALARM state when it started are not among them.
type Alarms struct {
	// Unknown means that the states of some of them are unknown. The rollout waits.
	Unknown bool
	InAlarm []string // names of those in the ALARM state
}

// awaitsFirstCheck reports whether an environment's first deployment has not begun because the states of its alarms are
// unknown. Later deployments give instances without a task one meanwhile: these had one before.
func (f *facts) awaitsFirstCheck() bool {
	return f.Alarms.Unknown && f.rollout.first && !f.current().AlarmsChecked
}

// checkAlarms returns why a deployment fails one of whose alarms is in the ALARM state; empty if it does not. It does
// not depend on the cluster state, but the engine records no progress until that is fresh.
func checkAlarms(f *facts) (failureReason string) {
	names := f.Alarms.InAlarm
	if len(names) == 0 || !canFail(f) {
		return ""
	}
	verb := " is"
	if len(names) > 1 {
		verb = " are"
	}
	return fmt.Sprintf(alarmTriggered, environment.ListAlarms(names)+verb)
}
