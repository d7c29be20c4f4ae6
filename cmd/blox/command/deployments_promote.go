package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

func newDeploymentsPromote(a *app) *cobra.Command {
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "promote ENVIRONMENT [ID]", Short: "Promote a canary: continue the deployment on all instances",
		Args: positionalArgs("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			d, err := findDeployment(ctx, c, args, current)
			if err != nil {
				return err
			}
			promoted, err := c.Scheduler.PromoteDeploymentContext(ctx,
				ds.NewPromoteDeploymentParams().WithName(args[0]).WithID(idOf(d)))
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, promoted.Payload, watch)
		}),
	}
	watch.add(cmd)
	return cmd
}
