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
	return withWatch(&cobra.Command{
		Use: "list ENVIRONMENT", Aliases: []string{"ls"}, Short: "List the deployments of an environment, newest first",
		Long: `List the deployments of an environment, newest first. ID is the beginning of the deployment's ID, which every
command accepts; -o wide and -q show the whole ID. UPDATED: instances that run a task of the deployment / selected
instances.`,
		Args: positionalArgs("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.runList(func(ctx context.Context, c *connect.Clients, args []string) error {
			list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(args[0]))
			if err != nil {
				return err
			}
			none := "No deployments. Create one with \"blox deployments create " + args[0] + "\"."
			return a.list(list.Payload, none, func(s show.Style) *show.Rows {
				return deploymentRows(s, list.Payload.Items)
			})
		}),
	})
}

func deploymentRows(s show.Style, list []*models.Deployment) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("ID", "STATE", "TASK DEFINITION~", "UPDATED", "FAILED", "AGE",
		"REASON~", "REVISION+", "PENDING+", "CREATED+", "DURATION+", "ROLLBACK OF+")}
	for _, d := range list {
		reason := d.RolloutStateReason
		if reason == "" && d.RollbackOf != "" {
			reason = "rollback of " + s.DeploymentID(d.RollbackOf)
		}
		created := time.Time(conv.Value(d.CreatedAt))
		rows.Add(s.DeploymentID(idOf(d)), stateOf(d), s.ID(conv.Value(d.TaskDefinition)),
			show.CountOf(d.RunningCount, d.DesiredCount), show.Count(d.FailedCount), s.Age(created), reason,
			number(d.Revision), show.Count(d.PendingCount), s.Time(created), duration(d), d.RollbackOf)
	}
	return rows
}
