package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

func newDeploymentsStop(a *app) *cobra.Command {
	var kind string
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "stop ENVIRONMENT [ID]", Short: "Stop the deployment in progress and roll back or pause",
		Long: `Stop the deployment in progress, or the one with the given ID. --type ROLLBACK creates a deployment that
restores the newest completed one; --watch watches it. --type ABORT leaves all tasks as they are and pauses the
environment until it is resumed or deployed again. It leaves nothing to watch, so it excludes --watch.`,
		Example: `  blox deployments stop web-agent --watch
  blox deployments stop web-agent --type ABORT`,
		Args: positionalArgs("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		given := strings.ToUpper(kind)
		if given != "ROLLBACK" && given != "ABORT" {
			return &usageError{cmd, fmt.Errorf("--type %q: must be ROLLBACK or ABORT", kind)}
		}
		if given == "ABORT" && watch.on {
			return &usageError{cmd, errors.New("--watch needs --type ROLLBACK: --type ABORT ends the deployment at once")}
		}
		d, err := findDeployment(ctx, c, args, current)
		if err != nil {
			return err
		}
		ended, err := c.Scheduler.StopDeploymentContext(ctx,
			ds.NewStopDeploymentParams().WithName(args[0]).WithID(idOf(d)).WithType(&given))
		if err != nil {
			return err
		}
		if watch.on {
			back, err := rollbackOf(ctx, c, ended.Payload)
			if err != nil {
				return err
			}
			if back != nil {
				return a.watchOrPrint(ctx, c, back, watch)
			}
		}
		return a.printDeployment(ended.Payload)
	})
	cmd.Flags().StringVar(&kind, "type", "ROLLBACK", "`type` of stop: ROLLBACK or ABORT")
	_ = cmd.RegisterFlagCompletionFunc("type", fixed("ROLLBACK", "ABORT"))
	watch.add(cmd)
	return cmd
}
