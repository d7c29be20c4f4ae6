package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/arn"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

func newTasksCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "tasks", Aliases: []string{"task"}, Short: "Inspect tasks",
		Long: `Inspect all tasks in your clusters, as ECS last reported them. STARTED BY of a task that Blox started is the
ID of its deployment.`,
	}
	cmd.AddCommand(newTasksList(a), newTasksDescribe(a))
	return cmd
}

func newTasksList(a *app) *cobra.Command {
	var filter taskFilter
	var page pageSize
	cmd := withWatch(&cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List tasks",
		Long: `List the tasks that match all flags, without stopped ones unless --all, --status or --stop-code is given. The
flags --cluster, --status, --started-by, --since and --search take one value. The others take several, separated by
commas; a leading ! excludes them.`,
		Example: `  blox tasks list --cluster default --status RUNNING
  blox tasks list --stop-code '!UserInitiated' --since 2026-03-04T10:15:30Z
  blox tasks list --family agent --all -o json`,
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.runList(func(ctx context.Context, c *connect.Clients, _ []string) error {
			list, err := allTasks(ctx, c, filter.params(), page)
			if err != nil {
				return err
			}
			if !filter.includesStopped() {
				list.Items = slices.DeleteFunc(list.Items, func(t *models.Task) bool {
					return conv.Value(t.Entity.LastStatus) == "STOPPED"
				})
			}
			return a.list(list, "No tasks found.", func(s show.Style) *show.Rows {
				rows := taskRows()
				var clusters []string
				for _, t := range list.Items {
					clusters = append(clusters, conv.Value(t.Entity.ClusterARN))
				}
				s = s.WithClusters(clusters...)
				for _, t := range list.Items {
					addTask(rows, s, t)
				}
				return rows
			})
		}),
	})
	filter.addFlags(a, cmd)
	page.addFlag(cmd)
	return cmd
}

// allTasks reads all pages of a list, as allInstances does.
func allTasks(
	ctx context.Context, c *connect.Clients, params *css.ListTasksParams, size pageSize,
) (*models.Tasks, error) {
	var metadata *models.ListMetadata
	params.SetLimit((*int32)(&size))
	items, err := allPages(func(token string) ([]*models.Task, string, error) {
		response, err := c.State.ListTasksContext(ctx, params.WithNextToken(optional(token)))
		if err != nil {
			return nil, "", err
		}
		if metadata == nil {
			metadata = response.Payload.Metadata
		}
		return response.Payload.Items, response.Payload.NextToken, nil
	})
	if err != nil {
		return nil, err
	}
	return &models.Tasks{Metadata: metadata, Items: items}, nil
}

func taskRows() *show.Rows {
	return &show.Rows{Columns: show.Columns("TASK~", "CLUSTER~", "TASK DEFINITION~", "STATUS", "INSTANCE~",
		"STARTED BY~", "AGE", "DESIRED+", "STARTED+", "STOPPED+", "STOPPED REASON+", "VERSION+")}
}

func addTask(rows *show.Rows, s show.Style, t *models.Task) {
	e := t.Entity
	rows.Add(s.ID(conv.Value(e.TaskARN)), s.Cluster(conv.Value(e.ClusterARN)), s.ID(conv.Value(e.TaskDefinitionARN)),
		conv.Value(e.LastStatus), s.ID(conv.Value(e.ContainerInstanceARN)), e.StartedBy,
		s.Age(parseTime(conv.Value(e.CreatedAt))), conv.Value(e.DesiredStatus), s.Time(parseTime(e.StartedAt)),
		s.Time(parseTime(e.StoppedAt)), e.StoppedReason,
		versionOf(t.Metadata))
}

func newTasksDescribe(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "describe TASK", Aliases: []string{"get", "show"}, Short: "Show one task",
		Long: `Show one task. TASK is its ARN, its ID or a unique prefix of the ID. -o yaml shows every field.`,
		Args: positionalArgs("TASK"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			t, err := findTask(ctx, c, args[0], cluster)
			if err != nil {
				return err
			}
			return a.print(t, func(s show.Style) printable { return taskFields(s, t) })
		}),
	}
	a.clusterFlag(cmd, &cluster)
	return cmd
}

func findTask(ctx context.Context, c *connect.Clients, wanted, cluster string) (*models.Task, error) {
	if in, ok := clusterOfARN(wanted, arn.Task, cluster); ok {
		got, err := c.State.GetTaskContext(ctx, css.NewGetTaskParams().WithCluster(in).WithArn(wanted))
		if err != nil {
			return nil, err
		}
		return got.Payload, nil
	}
	list, err := allTasks(ctx, c, css.NewListTasksParams().WithCluster(optional(cluster)), defaultPageSize)
	if err != nil {
		return nil, err
	}
	return findByID(wanted, "task", list.Items, func(t *models.Task) string {
		return entityID(conv.Value(t.Entity.TaskARN), wanted)
	})
}

func taskFields(s show.Style, t *models.Task) *show.Fields {
	e, f := t.Entity, &show.Fields{}
	f.Add("Task", s.ID(conv.Value(e.TaskARN)))
	f.Add("ARN", conv.Value(e.TaskARN))
	f.Add("Cluster", s.ID(conv.Value(e.ClusterARN)))
	f.Add("Task definition", s.ID(conv.Value(e.TaskDefinitionARN)))
	f.Add("Status", conv.Value(e.LastStatus))
	f.Add("Desired status", conv.Value(e.DesiredStatus))
	f.Add("Instance", s.ID(conv.Value(e.ContainerInstanceARN)))
	f.Add("Started by", e.StartedBy)
	f.Add("Created", s.Time(parseTime(conv.Value(e.CreatedAt))))
	f.Add("Started", s.Time(parseTime(e.StartedAt)))
	f.Add("Stopped", s.Time(parseTime(e.StoppedAt)))
	f.Add("Stopped reason", e.StoppedReason)
	for _, c := range e.Containers {
		status := conv.Value(c.LastStatus)
		if c.ExitCode != nil {
			status += fmt.Sprintf(", exit code %d", *c.ExitCode)
		}
		for _, b := range c.NetworkBindings {
			if b.HostPort != nil && b.ContainerPort != nil {
				status += fmt.Sprintf(", port %d to %d/%s", *b.HostPort, *b.ContainerPort, b.Protocol)
			}
		}
		f.Add("Container "+conv.Value(c.Name), joinNonEmpty(status, c.Reason))
	}
	f.Add("Entity version", versionOf(t.Metadata))
	return f
}
