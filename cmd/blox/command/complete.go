package command

import (
	"context"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// completionTimeout limits how long a press of the tab key waits.
const completionTimeout = time.Second

// environmentNames completes the name of an environment as first argument. If given, second completes the second one.
func (a *app) environmentNames(
	second ...func(context.Context, *connect.Clients, string) []string,
) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		if len(args) > len(second) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if err := a.applyContext(cmd.Flags()); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // a completion has no place for errors
		}
		c, err := connect.Open(ctx, a.cfg, a.Getenv)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // a completion has no place for errors
		}
		defer c.Close()
		if len(args) == 1 {
			return second[0](ctx, c, args[0]), cobra.ShellCompDirectiveNoFileComp
		}
		list, err := c.Scheduler.ListEnvironmentsContext(ctx, ds.NewListEnvironmentsParams())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, environment := range list.Payload.Items {
			names = append(names, conv.Value(environment.Name)+"\t"+environment.Status)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// anyEnvironmentNames completes any number of names of environments.
func (a *app) anyEnvironmentNames(
	cmd *cobra.Command, _ []string, typed string,
) ([]string, cobra.ShellCompDirective) {
	return a.environmentNames()(cmd, nil, typed)
}

// deploymentIDs returns the ids of an environment's deployments, newest first.
func deploymentIDs(ctx context.Context, c *connect.Clients, environment string) []string {
	list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(environment))
	if err != nil {
		return nil
	}
	var ids []string
	for _, d := range list.Payload.Items {
		ids = append(ids, idOf(d)+"\t"+stateOf(d))
	}
	return ids
}

// noFiles disables the completion of file names.
var noFiles = cobra.NoFileCompletions

// fixed completes one of the choices.
func fixed(choices ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)
}
