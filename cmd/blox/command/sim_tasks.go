package command

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
)

// simTask is a task of the simulator.
type simTask struct {
	ARN, ClusterARN, InstanceARN, TaskDefinitionARN     string
	StartedBy, LastStatus, DesiredStatus, StoppedReason string
	HealthStatus                                        string
	ExitCode                                            *int64
}

func newSimTasks(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "tasks", Aliases: []string{"task"}, Short: "List, stop, start and fail simulated tasks"}
	cmd.AddCommand(newSimTasksList(a), newSimTasksKill(a), newSimTasksHealth(a),
		newSimTasksFargate(a))
	return cmd
}

func newSimTasksList(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the simulated tasks",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, state, err := readState(ctx, c, cluster)
			if err != nil {
				return err
			}
			return a.list(listOf(raw, "tasks"), "No tasks.", func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("TASK~", "CLUSTER~", "TASK DEFINITION~", "STATUS", "DESIRED",
					"INSTANCE~", "STARTED BY~", "EXIT CODE", "HEALTH", "STOPPED REASON~")}
				for _, t := range state.Tasks {
					rows.Add(s.ID(t.ARN), s.ID(t.ClusterARN), s.ID(t.TaskDefinitionARN), t.LastStatus, t.DesiredStatus,
						s.ID(t.InstanceARN), t.StartedBy, show.Count(t.ExitCode), t.HealthStatus, t.StoppedReason)
				}
				return rows
			})
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	return cmd
}

func newSimTasksKill(a *app) *cobra.Command {
	var code int64
	cmd := &cobra.Command{
		Use: "kill TASK", Short: "Make the container of a task exit",
		Example: "  blox sim tasks kill 5bb4f837205844218c118cdcf855655a --exit-code 139",
		Args:    positionalArgs("TASK"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			query := url.Values{"task": {args[0]}, "exitCode": {number(code)}}
			return a.sendControl(ctx, c, http.MethodPost, "tasks/kill", query, "Task "+args[0]+" exited.")
		}),
	}
	cmd.Flags().Int64Var(&code, "exit-code", 1, "the container's exit `code`, 0 to 255")
	return cmd
}

func newSimTasksHealth(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "health TASK STATUS", Short: "Set the result of a task's container health checks",
		Long: `Set the result of the container health checks of a running task: HEALTHY, UNHEALTHY or UNKNOWN. The task
definition needs a health check; see "blox sim task-definitions register --health-check".`,
		Example: "  blox sim tasks health 5bb4f837205844218c118cdcf855655a UNHEALTHY",
		Args:    positionalArgs("TASK", "STATUS"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			status := strings.ToUpper(args[1])
			query := url.Values{"task": {args[0]}, "status": {status}}
			return a.sendControl(ctx, c, http.MethodPost, "tasks/health", query, "Task "+args[0]+" is "+status+".")
		}),
	}
}

func newSimTasksFargate(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "fargate FAMILY", Short: "Start a Fargate task, which has no container instance",
		Args: positionalArgs("FAMILY"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			query := url.Values{"cluster": {cluster}, "family": {args[0]}}
			return a.sendControl(ctx, c, http.MethodPost, "tasks/fargate", query, "Task of "+args[0]+" started.")
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "default", "cluster, a `name` or an ARN")
	return cmd
}
