package command

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newEnvironmentsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "environments", Aliases: []string{"environment", "env", "envs"},
		Short: "Manage environments: which task runs on which instances",
		Long: `An environment selects container instances of a cluster, names the task definition to run once on each, and
configures how deployments replace one revision by the next. Creating or updating an environment starts nothing;
"blox deployments create" does.`,
		Example: `  blox environments create web-agent --cluster default --task-definition agent:1
  blox environments update web-agent --task-definition agent:2
  blox environments instances web-agent`,
	}
	cmd.AddCommand(
		newEnvironmentsCreate(a), newEnvironmentsUpdate(a), newEnvironmentsList(a), newEnvironmentsDescribe(a), newEnvironmentsDelete(a),
		newEnvironmentsPause(a), newEnvironmentsResume(a), newEnvironmentsRollback(a), newEnvironmentsRevisions(a), newEnvironmentsInstances(a),
	)
	return cmd
}

func newEnvironmentsList(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List environments",
		Long: `List environments. DESIRED counts the selected instances. RUNNING and PENDING count instances with a task of the
current deployment, OUTDATED those with a task of an earlier one, FAILED those where the task fails.`,
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			list, err := c.Scheduler.ListEnvironmentsContext(ctx, ds.NewListEnvironmentsParams().WithCluster(optional(cluster)))
			if err != nil {
				return err
			}
			return a.list(list.Payload, "No environments. Create one with \"blox environments create\".", func(s show.Style) *show.Rows {
				return environmentRows(s, list.Payload.Items)
			})
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	return cmd
}

func environmentRows(s show.Style, list []*models.Environment) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("NAME", "STATUS", "HEALTH", "CLUSTER~", "TASK DEFINITION~", "REVISION", "DESIRED", "RUNNING", "PENDING",
		"OUTDATED", "FAILED", "UPDATED+", "TOKEN+")}
	for _, e := range list {
		rows.Add(text(e.Name), e.Status, text(e.Health), s.ID(clusterOf(e)), s.ID(text(e.TaskDefinition)), number(e.Revision), show.Count(e.DesiredCount),
			show.Count(e.RunningCount), show.Count(e.PendingCount), show.Count(e.OutdatedCount), show.Count(e.FailedCount),
			show.Time(timeOf(e.UpdatedAt)), tokenOf(e))
	}
	return rows
}

func newEnvironmentsDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME", Aliases: []string{"get", "show"}, Short: "Show an environment and its settings",
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.printEnvironment(got.Payload)
		}),
	}
}

func (a *app) printEnvironment(e *models.Environment) error {
	return a.print(e, func(s show.Style) printable { return environmentFields(s, e) })
}

func environmentFields(s show.Style, e *models.Environment) *show.Fields {
	f := &show.Fields{}
	f.Add("Name", text(e.Name))
	f.Add("Status", e.Status)
	f.Add("Paused by", e.PausedBy)
	f.Add("Health", text(e.Health))
	f.Add("Cluster", s.ID(clusterOf(e)))
	f.Add("Task definition", s.ID(text(e.TaskDefinition)))
	f.Add("Revision", number(e.Revision))
	if e.DesiredCount != nil {
		f.Add("Instances", fmt.Sprintf("%d desired, %s running, %s pending, %s outdated, %s failed", *e.DesiredCount,
			show.Count(e.RunningCount), show.Count(e.PendingCount), show.Count(e.OutdatedCount), show.Count(e.FailedCount)))
	}
	if e.InstanceGroup != nil {
		f.Add("Attributes", attributesOf(e.InstanceGroup.Attributes))
		f.Add("Query", e.InstanceGroup.Query)
	}
	addConfiguration(f, e.DeploymentConfiguration)
	f.Add("Readiness attribute", e.ReadinessAttribute)
	f.Add("Drain order", show.Count(e.DrainOrder))
	if e.ScaleInAfterMinutes != nil && *e.ScaleInAfterMinutes > 0 {
		f.Add("Scale in after", fmt.Sprintf("%d min", *e.ScaleInAfterMinutes))
	}
	if e.TaskSettings != nil {
		f.Add("Task settings", asJSON(e.TaskSettings))
	}
	f.Add("Created", show.Time(timeOf(e.CreatedAt)))
	f.Add("Updated", show.Time(timeOf(e.UpdatedAt)))
	f.Add("Deployment token", tokenOf(e))
	return f
}

func addConfiguration(f *show.Fields, c *models.DeploymentConfiguration) {
	if c == nil {
		return
	}
	if c.MinimumHealthyPercent != nil {
		f.Add("Minimum healthy", show.Count(c.MinimumHealthyPercent)+"%")
	}
	if c.MaximumPercent != nil {
		f.Add("Maximum", show.Count(c.MaximumPercent)+"%")
	}
	f.Add("Circuit breaker", breakerOf(c.DeploymentCircuitBreaker))
	if c.BakeTimeInMinutes != nil && *c.BakeTimeInMinutes > 0 {
		f.Add("Bake time", fmt.Sprintf("%d min", *c.BakeTimeInMinutes))
	}
	if c.Canary != nil {
		f.Add("Canary", canaryOf(c.Canary))
	}
}

func newEnvironmentsDelete(a *app) *cobra.Command {
	var stopTasks, wait bool
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete an environment",
		Long: `Delete an environment. Its tasks keep running, but Blox no longer manages them. With --stop-tasks, Blox stops them
first and then deletes the environment. Deleting an environment that does not exist succeeds.`,
		Example: `  blox environments delete web-agent --stop-tasks --wait`,
		Args:    positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			params := ds.NewDeleteEnvironmentParams().WithName(args[0])
			if stopTasks {
				params.SetStopTasks(&stopTasks)
			}
			if _, err := c.Scheduler.DeleteEnvironmentContext(ctx, params); err != nil {
				return err
			}
			if wait {
				if err := awaitDeleted(ctx, c, args[0]); err != nil {
					return err
				}
			}
			if stopTasks && !wait {
				a.info("Environment %s is being deleted; its tasks are stopping.", args[0])
			} else {
				a.info("Environment %s deleted.", args[0])
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&stopTasks, "stop-tasks", false, "stop the environment's tasks first")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the environment is deleted")
	return cmd
}

// awaitDeleted waits until the environment no longer exists.
func awaitDeleted(ctx context.Context, c *connect.Clients, name string) error {
	return poll(ctx, func() (bool, error) {
		_, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(name))
		if connect.IsStatus(err, http.StatusNotFound) {
			return true, nil
		}
		return false, err
	})
}

func newEnvironmentsPause(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "pause NAME", Short: "Pause an environment: start and stop nothing until it is resumed",
		Long: `Pause an environment: until it is resumed, Blox starts and stops nothing for it. Tasks keep running, but new
instances get no task and stopped tasks are not replaced.`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			got, err := c.Scheduler.PauseEnvironmentContext(ctx, ds.NewPauseEnvironmentParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.printEnvironment(got.Payload)
		}),
	}
}

func newEnvironmentsResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "resume NAME", Short: "Resume a paused environment",
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			got, err := c.Scheduler.ResumeEnvironmentContext(ctx, ds.NewResumeEnvironmentParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.printEnvironment(got.Payload)
		}),
	}
}

func newEnvironmentsRollback(a *app) *cobra.Command {
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "rollback NAME", Short: "Roll back to the last completed deployment",
		Long: `Roll back to the last completed deployment: stop the deployment in progress and create one that restores the earlier
revision. Repeating the command while a rollback is in progress changes nothing.`,
		Example: `  blox environments rollback web-agent --watch`,
		Args:    positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			made, err := c.Scheduler.RollbackEnvironmentContext(ctx, ds.NewRollbackEnvironmentParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, made.Payload, watch)
		}),
	}
	watch.add(cmd)
	return cmd
}

func newEnvironmentsRevisions(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "revisions NAME", Short: "List the revisions of an environment, newest first",
		Long: `List the revisions of an environment, newest first. Each update creates a revision. Blox removes old revisions that no
deployment uses.`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			list, err := c.Scheduler.ListRevisionsContext(ctx, ds.NewListRevisionsParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.list(list.Payload, "No revisions.", func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("REVISION", "TASK DEFINITION~", "CREATED", "INSTANCES~", "MINIMUM", "MAXIMUM", "BREAKER", "CANARY~", "SETTINGS+")}
				for _, r := range list.Payload.Items {
					config, instances := r.DeploymentConfiguration, "all"
					if config == nil {
						config = &models.DeploymentConfiguration{}
					}
					if g := r.InstanceGroup; g != nil && (g.Query != "" || len(g.Attributes) > 0) {
						instances = joinNonEmpty(attributesOf(g.Attributes), g.Query)
					}
					var settings string
					if r.TaskSettings != nil {
						settings = asJSON(r.TaskSettings)
					}
					rows.Add(show.Count(r.Revision), s.ID(text(r.TaskDefinition)), show.Time(timeOf(r.CreatedAt)), instances,
						percent(config.MinimumHealthyPercent), percent(config.MaximumPercent), breakerOf(config.DeploymentCircuitBreaker), canaryOf(config.Canary), settings)
				}
				return rows
			})
		}),
	}
}

func newEnvironmentsInstances(a *app) *cobra.Command {
	var states []string
	cmd := &cobra.Command{
		Use: "instances NAME", Short: "Show the state of an environment on each container instance",
		Long: `Show the state of an environment on each container instance of its cluster, with the reason:

  running    the task of the current deployment is running
  pending    the task is starting
  outdated   a task of another deployment is running
  missing    no task yet
  failed     no task: it cannot be started or keeps stopping
  excluded   the environment does not select the instance`,
		Example: `  blox environments instances web-agent
  blox environments instances web-agent --state failed --state missing`,
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			list, err := c.Scheduler.ListInstancesContext(ctx, ds.NewListInstancesParams().WithName(args[0]))
			if err != nil {
				return err
			}
			list.Payload.Items = filter(list.Payload.Items, states, func(i *models.EnvironmentInstance) string { return text(i.State) })
			return a.list(list.Payload, "No instances found.", func(s show.Style) *show.Rows {
				return environmentInstanceRows(s, list.Payload.Items)
			})
		}),
	}
	cmd.Flags().StringSliceVar(&states, "state", nil, "only in this `state`; repeatable")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"running", "pending", "outdated", "missing", "failed", "excluded"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func environmentInstanceRows(s show.Style, list []*models.EnvironmentInstance) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("INSTANCE~", "EC2 INSTANCE", "STATUS", "STATE", "TASK~", "TASK STATUS", "REASON~", "ATTEMPTS+", "NEXT ATTEMPT+", "DEPLOYMENT+")}
	for _, i := range list {
		var attempts string
		if i.Attempts > 0 {
			attempts = number(i.Attempts)
		}
		status := text(i.Status)
		if i.AgentConnected != nil && !*i.AgentConnected {
			status += ", agent disconnected"
		}
		rows.Add(s.ID(text(i.ContainerInstance)), i.Ec2InstanceID, status, text(i.State), s.ID(i.Task), i.TaskStatus, i.Reason, attempts,
			show.Time(timeOf(i.NextAttemptAt)), i.Deployment)
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
