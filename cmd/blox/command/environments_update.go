package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/manifest"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

func newEnvironmentsUpdate(a *app) *cobra.Command {
	var spec environmentSpec
	var token string
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Change an environment; starts and stops nothing",
		Long: `Change an environment. Fields that are not given keep their values. The environment gets a new revision, unless
no value changes. "blox deployments plan NAME" shows what a deployment of it would do, "blox deploy NAME"
deploys it.

--attribute and --tag replace all earlier values. --file has the fields of "blox environments create --file"; null
resets a field to its default. With --token, the deployment token that you read before, the update is rejected with
exit code 1 if the environment has changed since.`,
		Example: `  blox environments update web-agent --task-definition agent:2
  blox environments update web-agent --minimum-healthy-percent 80 --reset canary,query`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		document, err := spec.document(cmd, a.In)
		if err != nil {
			return err
		}
		if name, given := document["name"]; given && name != args[0] {
			return &usageError{cmd, fmt.Errorf("--file names environment %v, not %s", name, args[0])}
		}
		delete(document, "name")
		if len(document) == 0 {
			return &usageError{cmd, errors.New("no change given: use a flag or --file")}
		}
		d, err := manifest.New(spec.source(), document)
		if err != nil {
			return err
		}
		if err := d.ValidateFields(); err != nil {
			return &usageError{cmd, err}
		}
		got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(args[0]))
		if err != nil {
			return err
		}
		changed, err := changeEnvironment(ctx, c, got.Payload, d.Fields, token)
		if err != nil {
			return err
		}
		if changed.Revision == got.Payload.Revision {
			fmt.Fprintf(a.Err, "Nothing changed: revision %d has these settings already.\n", got.Payload.Revision)
		}
		return a.printEnvironment(changed)
	})
	spec.flags(cmd, false)
	cmd.Flags().StringVar(&token, "token", "", "deployment `token` read before (default: the current one)")
	return cmd
}
