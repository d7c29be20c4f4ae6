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

func newEnvironmentsList(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List environments",
		Long: `List environments. DESIRED counts the selected instances. RUNNING and PENDING count instances with a task of
the current deployment, OUTDATED those with a task of an earlier one, FAILED those where the task fails. TASK
DEFINITION and REVISION are those in effect; the newest revision follows in parentheses if it is another one.`,
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			list, err := c.Scheduler.ListEnvironmentsContext(ctx, ds.NewListEnvironmentsParams().WithCluster(optional(cluster)))
			if err != nil {
				return err
			}
			return a.list(list.Payload, "No environments. Create one with \"blox environments create\".",
				func(s show.Style) *show.Rows {
					return environmentRows(s, list.Payload.Items)
				})
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	return cmd
}

func environmentRows(s show.Style, list []*models.Environment) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("NAME", "STATUS", "HEALTH", "CLUSTER~", "TASK DEFINITION~", "REVISION",
		"DESIRED", "RUNNING", "PENDING",
		"OUTDATED", "FAILED", "UPDATED+", "TOKEN+")}
	for _, e := range list {
		rows.Add(conv.Value(e.Name), e.Status, conv.Value(e.Health), s.ID(clusterOf(e)), effectiveDefinition(s, e),
			effectiveRevision(e), show.Count(e.DesiredCount),
			show.Count(e.RunningCount), show.Count(e.PendingCount), show.Count(e.OutdatedCount), show.Count(e.FailedCount),
			show.Time(time.Time(conv.Value(e.UpdatedAt))), tokenOf(e))
	}
	return rows
}
