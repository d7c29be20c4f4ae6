package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
)

func newDeploymentsWatch(a *app) *cobra.Command {
	watch := watchFlags{on: true}
	cmd := &cobra.Command{
		Use: "watch ENVIRONMENT [ID]", Short: "Watch a deployment until it ends; by default the newest",
		Long: `Watch a deployment until it ends; by default the newest. Failures are printed as they happen, and a rollback
is watched too. The exit code is the outcome: 0 completed, 3 failed, 4 stopped, 5 rolled back, 6 still in
progress after --watch-for, 130 interrupted. In the last two cases, the deployment continues.`,
		Args: positionalArgs("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			d, err := findDeployment(ctx, c, args, newest)
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, d, watch)
		}),
	}
	watch.addLimit(cmd)
	return cmd
}
