package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

func newEnvironmentsRollback(a *app) *cobra.Command {
	var revision int64
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "rollback NAME", Short: "Roll back to an earlier completed deployment",
		Long: `Stop the deployment in progress, if any, and create a deployment that restores an earlier one:

  newest deployment               restores
  in progress, failed or stopped  the newest completed deployment
  completed                       the newest completed deployment of another revision

Repeating the command while a rollback is in progress changes nothing.`,
		Example: `  blox environments rollback web-agent --watch`,
		Args:    positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			params := ds.NewRollbackEnvironmentParams().WithName(args[0])
			if revision != 0 {
				params.SetRevision(&revision)
			}
			made, err := c.Scheduler.RollbackEnvironmentContext(ctx, params)
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, made.Payload, watch)
		}),
	}
	cmd.Flags().Int64Var(&revision, "to-revision", 0, "`number` of the revision (default: the last completed one)")
	watch.add(cmd)
	return cmd
}
