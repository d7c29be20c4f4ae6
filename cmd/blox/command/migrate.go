package command

import (
	"context"
	"errors"
	"strings"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newMigrateCommand(a *app) *cobra.Command {
	var from models.FromService
	var dryRun bool
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "migrate SERVICE [NAME]", Short: "Take over a DAEMON service of ECS",
		Long: `Create the environment NAME (default: the service's name) and move the tasks of a DAEMON service to it,
instance by instance. The environment's task is available before ECS stops the service's, except where both cannot
run together.

The service stays without tasks unless --delete-service is given. With --watch, the exit code is the outcome of the
deployment that moves the tasks, as of "blox deployments create". "blox environments cancel-takeover NAME" moves the
tasks back.`,
		Example: `  blox migrate node-exporter --cluster prod --dry-run
  blox migrate node-exporter --cluster prod --watch`,
		Args: positionalArgs("SERVICE", "[NAME]"), ValidArgsFunction: noFiles,
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if dryRun && watch.on {
			return &usageError{cmd, errors.New("--watch and --dry-run are mutually exclusive")}
		}
		from.Service = &args[0]
		name := args[0][strings.LastIndexByte(args[0], '/')+1:]
		if len(args) > 1 {
			name = args[1]
		} else if len(name) > maxNameLength {
			return &usageError{cmd, errors.New("NAME is required: the service's name is longer than 30 characters")}
		}
		params := ds.NewCreateEnvironmentParams().WithDryRun(&dryRun).WithBody(&models.CreateEnvironmentRequest{
			Name: &name, FromService: &from,
		})
		made, err := c.Scheduler.CreateEnvironmentContext(ctx, params)
		if err != nil {
			return err
		}
		if !watch.on {
			return a.printEnvironment(made.Payload)
		}
		d, err := findDeployment(ctx, c, []string{name}, newest)
		if err != nil {
			return err
		}
		return a.watchOrPrint(ctx, c, d, watch)
	})
	cmd.Flags().StringVar(&from.Cluster, "cluster", "default", "the service's cluster, a `name` or an ARN")
	cmd.Flags().BoolVar(&from.DeleteService, "delete-service", false, "delete the service after the takeover")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what the takeover would do, and change nothing")
	watch.add(cmd)
	return cmd
}

// maxNameLength is the longest name of an environment.
const maxNameLength = 30

func newEnvironmentsCancelTakeover(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "cancel-takeover NAME", Short: "Move the tasks of a takeover back to the service",
		Long: `Cancel the takeover of a DAEMON service, also a completed one: the service has its placement constraints
again, and its tasks return instance by instance. Delete the environment afterwards.`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			got, err := c.Scheduler.CancelTakeoverContext(ctx, ds.NewCancelTakeoverParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.printEnvironment(got.Payload)
		}),
	}
}

// takeoverText describes a takeover in one line; empty without one.
func takeoverText(t *models.Takeover) string {
	if t == nil {
		return ""
	}
	service := conv.Value(t.Service)
	text := strings.ToLower(conv.Value(t.State)) + ", " + conv.Value(t.Order) + ", service " +
		service[strings.LastIndexByte(service, '/')+1:]
	if t.DeleteService {
		text += ", which is deleted afterwards"
	}
	return text + ". " + t.Reason
}
