package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

func newDeployCommand(a *app) *cobra.Command {
	var request deploymentRequest
	var definition string
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "deploy NAME", Short: "Change the task definition of an environment and deploy it",
		Long: `Deploy an environment: with --task-definition, change its task definition first. With --watch, the exit code is
the outcome, as of "blox deployments create".`,
		Example: `  blox deploy web-agent --task-definition agent:2 --watch
  blox deploy web-agent --revision 3`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if definition != "" {
			if request.revision != 0 {
				return &usageError{cmd, errors.New("--task-definition and --revision are mutually exclusive")}
			}
			if err := updateDefinition(ctx, c, args[0], definition, &request); err != nil {
				return err
			}
		}
		made, err := createDeployment(ctx, c, args[0], request)
		if err != nil {
			return err
		}
		return a.watchOrPrint(ctx, c, made, watch)
	})
	cmd.Flags().StringVar(&definition, "task-definition", "",
		"task definition to change to: a `family` (its newest revision), family:revision or an ARN")
	request.addFlags(cmd)
	watch.add(cmd)
	return cmd
}

// updateDefinition changes the task definition of an environment. The request then deploys the new revision.
func updateDefinition(
	ctx context.Context, c *connect.Clients, name, definition string, request *deploymentRequest,
) error {
	got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(name))
	if err != nil {
		return err
	}
	changed, err := changeEnvironment(ctx, c, got.Payload, map[string]any{"taskDefinition": definition}, request.token)
	if err != nil {
		return err
	}
	switch {
	case request.token == "":
		request.present = changed
	case changed.Revision != got.Payload.Revision:
		request.token = tokenOf(changed)
	}
	return nil
}

func newRestartCommand(a *app) *cobra.Command {
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "restart NAME", Short: "Replace every task of an environment by one of the same revision",
		Long: `Replace every task of an environment, as a rollout of the revision in effect. A newer revision that is not
deployed stays so.`,
		Example: `  blox restart web-agent --watch`,
		Args:    positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(args[0]))
			if err != nil {
				return err
			}
			e := got.Payload
			if e.EffectiveRevision == 0 {
				return fmt.Errorf("environment %s was never deployed\n\"blox deploy %s\" deploys it", args[0], args[0])
			}
			made, err := createDeployment(ctx, c, args[0],
				deploymentRequest{token: tokenOf(e), revision: e.EffectiveRevision, force: true})
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, made, watch)
		}),
	}
	watch.add(cmd)
	return cmd
}

func newRollbackCommand(a *app) *cobra.Command {
	cmd := newEnvironmentsRollback(a)
	cmd.Example = `  blox rollback web-agent --dry-run
  blox rollback web-agent --watch
  blox rollback web-agent --to-revision 3`
	return cmd
}
