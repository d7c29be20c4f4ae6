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

func newDeploymentsList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list ENVIRONMENT", Aliases: []string{"ls"}, Short: "List the deployments of an environment, newest first",
		Args: positionalArgs("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(args[0]))
			if err != nil {
				return err
			}
			none := "No deployments. Create one with \"blox deployments create " + args[0] + "\"."
			return a.list(list.Payload, none, func(s show.Style) *show.Rows {
				return deploymentRows(s, list.Payload.Items)
			})
		}),
	}
}

func deploymentRows(s show.Style, list []*models.Deployment) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("ID", "STATE", "TASK DEFINITION~", "REVISION", "DESIRED", "RUNNING",
		"PENDING", "FAILED", "CREATED", "DURATION", "REASON~", "ROLLBACK OF+")}
	for _, d := range list {
		reason := d.RolloutStateReason
		if reason == "" && d.RollbackOf != "" {
			reason = "rollback of " + d.RollbackOf
		}
		rows.Add(idOf(d), stateOf(d), s.ID(conv.Value(d.TaskDefinition)), number(d.Revision), show.Count(d.DesiredCount),
			show.Count(d.RunningCount),
			show.Count(d.PendingCount), show.Count(d.FailedCount), show.Time(time.Time(conv.Value(d.CreatedAt))), duration(d),
			reason, d.RollbackOf)
	}
	return rows
}
