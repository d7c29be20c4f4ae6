package command

import (
	"context"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newEnvironmentsRevisions(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "revisions NAME", Short: "List the revisions of an environment, newest first",
		Long: `List the revisions of an environment, newest first. Each update creates a revision. Blox removes old
revisions that no deployment uses.`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			list, err := c.Scheduler.ListRevisionsContext(ctx, ds.NewListRevisionsParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.list(list.Payload, "No revisions.", func(s show.Style) *show.Rows {
				return revisionRows(s, list.Payload.Items)
			})
		}),
	}
}

func revisionRows(s show.Style, list []*models.Revision) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("REVISION", "TASK DEFINITION~", "AGE", "INSTANCES~", "MINIMUM", "MAXIMUM",
		"BREAKER", "CANARY~", "CREATED+", "SETTINGS+")}
	for _, r := range list {
		config := conv.Value(r.DeploymentConfiguration)
		instances := "all"
		if g := r.InstanceGroup; g != nil && (g.Query != "" || len(g.Attributes) > 0) {
			instances = joinNonEmpty(attributesOf(g.Attributes), g.Query)
		}
		var settings string
		if r.TaskSettings != nil {
			settings = asJSON(r.TaskSettings)
		}
		created := time.Time(conv.Value(r.CreatedAt))
		rows.Add(show.Count(r.Revision), s.ID(conv.Value(r.TaskDefinition)), s.Age(created), instances,
			limitOf(config.MinimumHealthyPercent, config.MaxUnavailable),
			limitOf(config.MaximumPercent, config.MaxSurge),
			breakerOf(config.DeploymentCircuitBreaker), canaryOf(config.Canary), s.Time(created), settings)
	}
	return rows
}
