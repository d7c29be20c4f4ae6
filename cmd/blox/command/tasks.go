package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/arn"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

func newTasksCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "tasks", Aliases: []string{"task"}, Short: "See the tasks in your clusters, whoever started them",
		Long: `See the tasks in your clusters, whoever started them, as ECS last told of them. A task of a deployment of Blox has the
deployment's id in STARTED BY.`,
	}
	cmd.AddCommand(newTasksList(a), newTasksDescribe(a))
	return cmd
}

func newTasksList(a *app) *cobra.Command {
	var cluster, status, desired, startedBy, family, definition, instance, launch string
	var page pageSize
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List tasks",
		Long: `List tasks: all that match every flag that is given. Tasks that have stopped are there too for as long as ECS knows
of them; --status RUNNING leaves them out.`,
		Example: `  blox tasks list --cluster default --status RUNNING
  blox tasks list --family agent -o json`,
		Args: names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			list, err := allTasks(ctx, c, css.NewListTasksParams().WithCluster(optional(cluster)).WithStatus(optional(status)).
				WithDesiredStatus(optional(desired)).WithStartedBy(optional(startedBy)).WithFamily(optional(family)).
				WithTaskDefinition(optional(definition)).WithContainerInstance(optional(instance)).WithLaunchType(optional(launch)), page)
			if err != nil {
				return err
			}
			return a.list(list, "There are no such tasks.", func(s show.Style) *show.Rows {
				rows := taskRows()
				for _, t := range list.Items {
					addTask(rows, s, t)
				}
				return rows
			})
		}),
	}
	statuses := []string{"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED", "DELETED"}
	flags := cmd.Flags()
	flags.StringVar(&cluster, "cluster", "", "only those of this cluster, a `name` or an ARN")
	flags.StringVar(&status, "status", "", "only those in this `status`, such as PENDING, RUNNING or STOPPED, in any case")
	flags.StringVar(&desired, "desired-status", "", "only those that ECS wants to be in this `status`: RUNNING or STOPPED")
	flags.StringVar(&startedBy, "started-by", "", "only those started by exactly `this`, such as a deployment's id")
	flags.StringVar(&family, "family", "", "only those of this task definition, in any revision: a `name`")
	flags.StringVar(&definition, "task-definition", "", "only those of this task definition: `family:revision` or an ARN")
	flags.StringVar(&instance, "instance", "", "only those on this container instance: an `id` or an ARN")
	flags.StringVar(&launch, "launch-type", "", "only those of this launch `type`: EC2, FARGATE, EXTERNAL or MANAGED_INSTANCES")
	page.add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
	_ = cmd.RegisterFlagCompletionFunc("status", fixed(statuses...))
	_ = cmd.RegisterFlagCompletionFunc("desired-status", fixed("RUNNING", "STOPPED"))
	_ = cmd.RegisterFlagCompletionFunc("launch-type", fixed("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"))
	return cmd
}

// allTasks is every page of a list, as allInstances is.
func allTasks(ctx context.Context, c *connect.Clients, params *css.ListTasksParams, page pageSize) (*models.Tasks, error) {
	all := &models.Tasks{Items: []*models.Task{}}
	for params.SetLimit((*int32)(&page)); ; {
		got, err := c.State.ListTasksContext(ctx, params)
		if err != nil {
			return nil, err
		}
		if all.Metadata == nil {
			all.Metadata = got.Payload.Metadata
		}
		all.Items = append(all.Items, got.Payload.Items...)
		if got.Payload.NextToken == "" {
			return all, nil
		}
		params.SetNextToken(&got.Payload.NextToken)
	}
}

func taskRows() *show.Rows {
	return &show.Rows{Columns: show.Columns("TASK~", "CLUSTER~", "TASK DEFINITION~", "STATUS", "DESIRED", "INSTANCE~", "STARTED BY~", "STARTED+", "STOPPED+", "WHY STOPPED+", "VERSION+")}
}

func addTask(rows *show.Rows, s show.Style, t *models.Task) {
	e := t.Entity
	rows.Add(s.ID(text(e.TaskARN)), s.ID(text(e.ClusterARN)), s.ID(text(e.TaskDefinitionARN)), text(e.LastStatus), text(e.DesiredStatus),
		s.ID(text(e.ContainerInstanceARN)), e.StartedBy, e.StartedAt, e.StoppedAt, e.StoppedReason, versionOf(t.Metadata))
}

func newTasksDescribe(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "describe TASK", Aliases: []string{"get", "show"}, Short: "Show one task",
		Long: `Show one task. TASK is its ARN, its id or so much of the id's beginning that it is no other's. -o yaml shows all
that there is.`,
		Args: names("TASK"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			t, err := findTask(ctx, c, args[0], cluster)
			if err != nil {
				return err
			}
			return a.print(t, func(s show.Style) written { return taskFields(s, t) })
		}),
	}
	a.lookIn(cmd, &cluster)
	return cmd
}

func findTask(ctx context.Context, c *connect.Clients, wanted, cluster string) (*models.Task, error) {
	if in, ok := clusterToAsk(wanted, arn.Task, cluster); ok {
		got, err := c.State.GetTaskContext(ctx, css.NewGetTaskParams().WithCluster(in).WithArn(wanted))
		if err != nil {
			return nil, err
		}
		return got.Payload, nil
	}
	list, err := allTasks(ctx, c, css.NewListTasksParams().WithCluster(optional(cluster)), usualPage)
	if err != nil {
		return nil, err
	}
	return findByID(wanted, "task", list.Items, func(t *models.Task) string { return entityID(text(t.Entity.TaskARN), wanted) })
}

func taskFields(s show.Style, t *models.Task) *show.Fields {
	e, f := t.Entity, &show.Fields{}
	f.Add("Task", s.ID(text(e.TaskARN)))
	f.Add("ARN", text(e.TaskARN))
	f.Add("Cluster", s.ID(text(e.ClusterARN)))
	f.Add("Task definition", s.ID(text(e.TaskDefinitionARN)))
	f.Add("Status", text(e.LastStatus))
	f.Add("Desired status", text(e.DesiredStatus))
	f.Add("Instance", s.ID(text(e.ContainerInstanceARN)))
	f.Add("Started by", e.StartedBy)
	f.Add("Created", text(e.CreatedAt))
	f.Add("Started", e.StartedAt)
	f.Add("Stopped", e.StoppedAt)
	f.Add("Why stopped", e.StoppedReason)
	for _, c := range e.Containers {
		said := text(c.LastStatus)
		if c.ExitCode != nil {
			said += fmt.Sprintf(", exit code %d", *c.ExitCode)
		}
		for _, b := range c.NetworkBindings {
			if b.HostPort != nil && b.ContainerPort != nil {
				said += fmt.Sprintf(", port %d to %d/%s", *b.HostPort, *b.ContainerPort, b.Protocol)
			}
		}
		f.Add("Container "+text(c.Name), joined(said, c.Reason))
	}
	f.Add("Entity version", versionOf(t.Metadata))
	return f
}
