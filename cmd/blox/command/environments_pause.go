package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

func newEnvironmentsPause(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "pause NAME", Short: "Pause an environment: start and stop nothing until it is resumed",
		Long: `Pause an environment: until it is resumed, Blox starts and stops nothing for it. Tasks keep running, but new
instances get no task and stopped tasks are not replaced.`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			got, err := c.Scheduler.PauseEnvironmentContext(ctx, ds.NewPauseEnvironmentParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.printEnvironment(got.Payload)
		}),
	}
}

func newEnvironmentsResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "resume NAME", Short: "Resume a paused environment",
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			got, err := c.Scheduler.ResumeEnvironmentContext(ctx, ds.NewResumeEnvironmentParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.printEnvironment(got.Payload)
		}),
	}
}
