package command

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newEnvironmentsDelete(a *app) *cobra.Command {
	var options deleteOptions
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete an environment",
		Long: `Delete an environment, after a confirmation. Its tasks keep running, but Blox no longer replaces them. On a
DRAINING instance, the daemons of other environments wait for them as for any other task. With --stop-tasks, Blox stops
the tasks first and then deletes the environment.`,
		Example: `  blox environments delete web-agent --stop-tasks --wait
  blox environments delete web-agent --yes --ignore-not-found`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			return a.deleteEnvironment(ctx, c, args[0], options)
		}),
	}
	cmd.Flags().BoolVar(&options.stopTasks, "stop-tasks", false, "stop the environment's tasks first")
	cmd.Flags().BoolVar(&options.wait, "wait", false, "wait until the environment is deleted")
	cmd.Flags().BoolVar(&options.ignoreNotFound, "ignore-not-found", false,
		"exit with 0 if the environment does not exist")
	addYes(cmd, &options.yes)
	return cmd
}

type deleteOptions struct{ stopTasks, wait, ignoreNotFound, yes bool }

func (a *app) deleteEnvironment(ctx context.Context, c *connect.Clients, name string, options deleteOptions) error {
	got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(name))
	if connect.IsStatus(err, http.StatusNotFound) && options.ignoreNotFound {
		a.info("Environment %s does not exist.", name)
		return nil
	}
	if err != nil {
		return err
	}
	if !options.yes {
		if err := a.confirm(deleteQuestion(got.Payload, options.stopTasks)); err != nil {
			return err
		}
	}
	params := ds.NewDeleteEnvironmentParams().WithName(name)
	if options.stopTasks {
		params.SetStopTasks(&options.stopTasks)
	}
	if _, err := c.Scheduler.DeleteEnvironmentContext(ctx, params); err != nil {
		return err
	}
	if options.wait {
		if err := awaitDeleted(ctx, c, name); err != nil {
			return err
		}
	}
	if options.stopTasks && !options.wait {
		a.info("Environment %s is being deleted; its tasks are stopping.", name)
	} else {
		a.info("Environment %s deleted.", name)
	}
	return nil
}

// deleteQuestion names what the deletion of an environment does to its tasks.
func deleteQuestion(e *models.Environment, stopTasks bool) string {
	question, running := "Delete environment "+conv.Value(e.Name)+"?", conv.Value(e.RunningCount)
	switch {
	case running == 0:
		return question
	case stopTasks:
		return question + fmt.Sprintf(" Blox stops its running tasks: %d.", running)
	}
	return question + fmt.Sprintf(" Its running tasks (%d) stay: Blox no longer replaces them, and on a DRAINING "+
		"instance other daemons wait for them. --stop-tasks stops them first.", running)
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
