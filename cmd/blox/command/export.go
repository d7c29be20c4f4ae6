package command

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/manifest"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newExportCommand(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "export [NAME...]", Short: "Print environments as documents that apply accepts",
		Long: `Print environments as documents that "blox apply" accepts: the newest revision of each named environment, or of
all. The output is YAML, one document for each environment; with -o json, it is a list.`,
		Example: `  blox export web-agent > web-agent.yml
  blox export --cluster prod > prod.yml`,
		Args: func(*cobra.Command, []string) error { return nil }, ValidArgsFunction: a.anyEnvironmentNames,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, names []string) error {
			environments, err := namedEnvironments(ctx, c, names, cluster)
			if err != nil {
				return err
			}
			return a.export(environments)
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "only environments in this cluster, a `name` or an ARN")
	return cmd
}

// namedEnvironments returns the environments of these names, in that order, or all of a cluster.
func namedEnvironments(
	ctx context.Context, c *connect.Clients, names []string, cluster string,
) (list []*models.Environment, err error) {
	if len(names) == 0 {
		all, err := c.Scheduler.ListEnvironmentsContext(ctx,
			ds.NewListEnvironmentsParams().WithCluster(optional(cluster)))
		if err != nil {
			return nil, err
		}
		return all.Payload.Items, nil
	}
	for _, name := range names {
		got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(name))
		if err != nil {
			return nil, err
		}
		list = append(list, got.Payload)
	}
	return list, nil
}

func (a *app) export(environments []*models.Environment) error {
	documents := []manifest.Ordered{}
	for _, e := range environments {
		exported, err := manifest.Export(e)
		if err != nil {
			return fmt.Errorf("%s: %w", conv.Value(e.Name), err)
		}
		documents = append(documents, exported)
	}
	if a.output.Format == show.JSON {
		return show.Encode(a.Out, show.JSON, map[string]any{"items": documents})
	}
	for _, d := range documents {
		body, err := json.Marshal(d)
		if err != nil {
			return err
		}
		if err := show.EncodeLine(a.Out, show.YAML, body); err != nil {
			return err
		}
	}
	return nil
}
