package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

func newEnvironmentsRollback(a *app) *cobra.Command {
	var revision int64
	var dryRun bool
	var watch watchFlags
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use: "rollback NAME", Short: "Roll back to an earlier completed deployment",
		Long: `Stop the deployment in progress, if any, and create a deployment that restores an earlier one:

  newest deployment               restores
  in progress, failed or stopped  the newest completed deployment
  completed                       the newest completed deployment of another revision

Repeating the command while a rollback is in progress changes nothing.`,
		Example: `  blox environments rollback web-agent --dry-run
  blox environments rollback web-agent --watch`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			params := ds.NewRollbackEnvironmentParams().WithName(args[0])
			if revision != 0 {
				params.SetRevision(&revision)
			}
			if dryRun && watch.on {
				return &usageError{cmd, errors.New("--dry-run and --watch are mutually exclusive")}
			}
			if dryRun {
				params.SetDryRun(&dryRun)
			}
			made, err := c.Scheduler.RollbackEnvironmentContext(ctx, params)
			if err != nil {
				return err
			}
			if dryRun {
				return a.printPlan(made.Payload)
			}
			return a.watchOrPrint(ctx, c, made.Payload, watch)
		}),
	}
	cmd.Flags().Int64Var(&revision, "to-revision", 0,
		"`number` of the revision (default: that of the newest completed deployment)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what the rollback would start and stop, and change nothing")
	watch.add(cmd)
	return cmd
}
