package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

func newDeploymentsPromote(a *app) *cobra.Command {
	var watch watchFlags
	var full bool
	cmd := &cobra.Command{
		Use: "promote ENVIRONMENT [ID]", Short: "Promote a canary: continue the deployment with its next step",
		Long: "Promote continues a deployment with the next step of its canary, or after the last step on all instances.",
		Args: positionalArgs("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			d, err := findDeployment(ctx, c, args, current)
			if err != nil {
				return err
			}
			params := ds.NewPromoteDeploymentParams().WithName(args[0]).WithID(idOf(d))
			switch {
			case full:
				params.SetFull(&full)
			case d.CanaryProgress != nil: // the scheduler may promote the step meanwhile
				params.SetStep(&d.CanaryProgress.Step)
			}
			promoted, err := c.Scheduler.PromoteDeploymentContext(ctx, params)
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, promoted.Payload, watch)
		}),
	}
	cmd.Flags().BoolVar(&full, "full", false, "continue on all instances, without the remaining steps")
	watch.add(cmd)
	return cmd
}
