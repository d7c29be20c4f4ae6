package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// alarmsField is the field of the request's body that alarmFlags set.
const alarmsField = "deploymentConfiguration.alarms"

// alarmFlags are the settings of the alarms of an environment's deployments.
type alarmFlags struct {
	names  []string
	action string
}

func (f *alarmFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.names, "alarm", nil,
		"fail a deployment when this CloudWatch `alarm` goes into the ALARM state; repeatable")
	flags.StringVar(&f.action, "alarm-action", breakerPause,
		"`action` when an alarm fails a deployment: pause, rollback (restore the newest completed deployment) or off "+
			"(ignore the alarms)")
	_ = cmd.RegisterFlagCompletionFunc("alarm", noFiles)
	_ = cmd.RegisterFlagCompletionFunc("alarm-action", fixed(breakerOff, breakerPause, breakerRollback))
}

// apply sets the fields of the flags that were given.
func (f *alarmFlags) apply(cmd *cobra.Command, document map[string]any) error {
	if cmd.Flags().Changed("alarm") {
		setField(document, alarmsField+".alarmNames", f.names)
	}
	if !cmd.Flags().Changed("alarm-action") {
		return nil
	}
	fields, known := breakerModes[f.action]
	if !known {
		return fmt.Errorf("--alarm-action %q: must be off, pause or rollback", f.action)
	}
	for field, value := range fields {
		setField(document, alarmsField+"."+field, value)
	}
	return nil
}

func alarmsOf(a *models.DeploymentAlarms) string {
	action := breakerPause
	switch {
	case a.Enable != nil && !*a.Enable:
		action = breakerOff
	case a.Rollback:
		action = breakerRollback
	}
	return action + " on " + strings.Join(a.AlarmNames, ", ")
}
