package command

import "github.com/spf13/cobra"

// roleFlags are the settings of the role that calls for an environment assume.
type roleFlags struct{ arn, externalID string }

func (f *roleFlags) define(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.arn, "role", "",
		"`ARN` of the IAM role, of the cluster's account, that Blox assumes for all calls for the environment")
	cmd.Flags().StringVar(&f.externalID, "role-external-id", "", "external `ID` to send when Blox assumes the role")
	_ = cmd.RegisterFlagCompletionFunc("role", noFiles)
	_ = cmd.RegisterFlagCompletionFunc("role-external-id", noFiles)
}

// apply sets the fields of the flags that were given.
func (f *roleFlags) apply(cmd *cobra.Command, document map[string]any) {
	for flag, value := range map[string]string{"role": f.arn, "role-external-id": f.externalID} {
		if cmd.Flags().Changed(flag) {
			setField(document, roleFields[flag], value)
		}
	}
}

// roleFields maps roleFlags to fields of the request's body.
var roleFields = map[string]string{"role": "role", "role-external-id": "roleExternalId"}
