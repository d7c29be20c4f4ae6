package command

import (
	"context"
	"strings"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newEnvironmentsInstances(a *app) *cobra.Command {
	var states []string
	cmd := withWatch(&cobra.Command{
		Use: "instances NAME", Short: "Show the state of an environment on each container instance",
		Long: `Show the state of an environment on each container instance of its cluster, with the reason:

  running    the task of the current deployment is running
  pending    the task is starting
  outdated   a task of an earlier deployment is running
  missing    no task; Blox has not started one yet
  failed     no task: it cannot be started or keeps stopping
  excluded   the environment does not select the instance`,
		Example: `  blox environments instances web-agent
  blox environments instances web-agent --state failed --state missing`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.runList(func(ctx context.Context, c *connect.Clients, args []string) error {
			list, err := c.Scheduler.ListInstancesContext(ctx, ds.NewListInstancesParams().WithName(args[0]))
			if err != nil {
				return err
			}
			list.Payload.Items = filter(list.Payload.Items, states,
				func(i *models.EnvironmentInstance) string { return conv.Value(i.State) })
			return a.list(list.Payload, "No instances found.", func(s show.Style) *show.Rows {
				return environmentInstanceRows(s, list.Payload.Items)
			})
		}),
	})
	cmd.Flags().StringSliceVar(&states, "state", nil, "only in this `state`; repeatable")
	_ = cmd.RegisterFlagCompletionFunc("state", fixed("running", "pending", "outdated", "missing", "failed", "excluded"))
	return cmd
}

func environmentInstanceRows(s show.Style, list []*models.EnvironmentInstance) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("INSTANCE~", "EC2 INSTANCE", "STATUS", "STATE", "TASK~", "TASK STATUS",
		"REASON~", "ATTEMPTS+", "NEXT ATTEMPT+", "DEPLOYMENT+")}
	for _, i := range list {
		var attempts string
		if i.Attempts > 0 {
			attempts = number(i.Attempts)
		}
		status := conv.Value(i.Status)
		if i.AgentConnected != nil && !*i.AgentConnected {
			status += ", ECS agent disconnected"
		}
		rows.Add(s.ID(conv.Value(i.ContainerInstance)), i.Ec2InstanceID, status, conv.Value(i.State), s.ID(i.Task),
			joinNonEmpty(i.TaskStatus, i.HealthStatus), i.Reason, attempts,
			s.Time(time.Time(conv.Value(i.NextAttemptAt))), i.Deployment)
	}
	return rows
}

// filter returns the items whose property is in wanted, ignoring case; all items if wanted is empty.
func filter[T any](list []T, wanted []string, property func(T) string) []T {
	if len(wanted) == 0 {
		return list
	}
	kept := []T{}
	for _, item := range list {
		for _, want := range wanted {
			if strings.EqualFold(want, property(item)) {
				kept = append(kept, item)
				break
			}
		}
	}
	return kept
}
