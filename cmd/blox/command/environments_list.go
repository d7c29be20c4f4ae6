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
	var cluster, environmentType string
	var place placeFilter
	cmd := withWatch(&cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List environments",
		Long: `List environments. TASK DEFINITION and REVISION are those in effect; the newest revision follows in
parentheses if it is another one. The other columns count container instances:

  AVAILABLE     available/desired: instances with an available task of any deployment / selected instances
  FAILED        selected instances where the task fails
  UP-TO-DATE    selected instances with a task of the current deployment
  OUTDATED      selected instances with a task of another deployment
  UNREACHABLE   selected instances whose ECS agent is disconnected
  MISSCHEDULED  other instances with a task

-o wide shows every column.`,
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.runList(func(ctx context.Context, c *connect.Clients, _ []string) error {
			list, err := c.Scheduler.ListEnvironmentsContext(ctx, ds.NewListEnvironmentsParams().
				WithCluster(optional(cluster)).WithEnvironmentType(optional(environmentType)).
				WithAccount(optional(place.account)).WithRegion(optional(place.region)))
			if err != nil {
				return err
			}
			return a.list(list.Payload, "No environments. Create one with \"blox environments create\".",
				func(s show.Style) *show.Rows {
					return environmentRows(s, list.Payload.Items)
				})
		}),
	})
	cmd.Flags().StringVar(&cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	place.addFlags(cmd)
	cmd.Flags().StringVar(&environmentType, "environment-type", "", "only of this `type`: DAEMON")
	_ = cmd.RegisterFlagCompletionFunc("environment-type", fixed("DAEMON"))
	return cmd
}

func environmentRows(s show.Style, list []*models.Environment) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("NAME", "STATUS", "HEALTH", "CLUSTER~", "TASK DEFINITION~",
		"AVAILABLE", "FAILED", "AGE", "REVISION+", "UP-TO-DATE+", "OUTDATED+", "RUNNING+", "PENDING+", "UNREACHABLE+",
		"MISSCHEDULED+", "UPDATED+", "TOKEN+")}
	var clusters []string
	for _, e := range list {
		clusters = append(clusters, clusterOf(e))
	}
	s = s.WithClusters(clusters...)
	for _, e := range list {
		rows.Add(conv.Value(e.Name), e.Status, string(conv.Value(e.Health)), s.Cluster(clusterOf(e)),
			effectiveDefinition(s, e), show.CountOf(e.AvailableCount, e.DesiredCount), show.Count(e.FailedCount),
			s.Age(time.Time(conv.Value(e.CreatedAt))), effectiveRevision(e), show.Count(e.UpdatedCount),
			show.Count(e.OutdatedCount), show.Count(e.RunningCount), show.Count(e.PendingCount),
			show.Count(e.UnreachableCount), show.Count(e.MisscheduledCount), s.Time(time.Time(conv.Value(e.UpdatedAt))),
			tokenOf(e))
	}
	return rows
}
