package command

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

func newEnvironmentsDelete(a *app) *cobra.Command {
	var stopTasks, wait bool
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete an environment",
		Long: `Delete an environment. Its tasks keep running, but Blox no longer manages them. With --stop-tasks, Blox stops
them first and then deletes the environment. Deleting an environment that does not exist succeeds.`,
		Example: `  blox environments delete web-agent --stop-tasks --wait`,
		Args:    positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			params := ds.NewDeleteEnvironmentParams().WithName(args[0])
			if stopTasks {
				params.SetStopTasks(&stopTasks)
			}
			if _, err := c.Scheduler.DeleteEnvironmentContext(ctx, params); err != nil {
				return err
			}
			if wait {
				if err := awaitDeleted(ctx, c, args[0]); err != nil {
					return err
				}
			}
			if stopTasks && !wait {
				a.info("Environment %s is being deleted; its tasks are stopping.", args[0])
			} else {
				a.info("Environment %s deleted.", args[0])
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&stopTasks, "stop-tasks", false, "stop the environment's tasks first")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the environment is deleted")
	return cmd
}

// awaitDeleted waits until the environment no longer exists.
func awaitDeleted(ctx context.Context, c *connect.Clients, name string) error {
	return poll(ctx, func() (bool, error) {
		_, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(name))
		if connect.IsStatus(err, http.StatusNotFound) {
			return true, nil
		}
		return false, err
	})
}
