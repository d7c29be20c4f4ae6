package command

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
)

// simInstance is a container instance of the simulator.
type simInstance struct {
	ARN, ClusterARN, EC2InstanceID, Status                                 string
	AgentConnected                                                         bool
	CPU, Memory, RemainingCPU, RemainingMemory, RunningTasks, PendingTasks int64
}

func newSimInstances(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "instances", Aliases: []string{"instance"},
		Short: "Add, drain, remove and disconnect container instances",
	}
	cmd.AddCommand(newSimInstancesAdd(a), newSimInstancesList(a))
	for _, change := range instanceChanges {
		cmd.AddCommand(newSimInstanceChange(a, change))
	}
	return cmd
}

func newSimInstancesAdd(a *app) *cobra.Command {
	var cluster string
	var count int64
	cmd := &cobra.Command{
		Use: "add", Short: "Add container instances to a cluster",
		Example: "  blox sim instances add --cluster prod --count 10",
		Args:    positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			query := url.Values{"cluster": {cluster}, "count": {number(count)}}
			raw, err := c.Simulator.Control(ctx, http.MethodPost, "instances", query, nil)
			if err != nil {
				return err
			}
			var response struct{ Instances []string }
			if err := json.Unmarshal(raw, &response); err != nil {
				return err
			}
			return a.print(raw, func(s show.Style) printable {
				rows := &show.Rows{Columns: show.Columns("INSTANCE")}
				for _, arn := range response.Instances {
					rows.Add(s.ID(arn))
				}
				return rows
			})
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "default", "cluster, a `name` or an ARN; created if missing")
	cmd.Flags().Int64Var(&count, "count", 1, "number of instances")
	return cmd
}

// instanceChange is a command that changes one container instance.
type instanceChange struct {
	use, short, method, path string
	parameters               url.Values // in addition to the instance
	done                     string
}

var instanceChanges = []instanceChange{
	{
		use: "drain", short: "Set a container instance to DRAINING",
		method: http.MethodPost, path: "instances/drain", done: "is DRAINING",
	},
	{
		use: "activate", short: "Set a DRAINING container instance back to ACTIVE",
		method: http.MethodPost, path: "instances/activate", done: "is ACTIVE",
	},
	{
		use: "remove", short: "Terminate a container instance: INACTIVE, its tasks STOPPED",
		method: http.MethodDelete, path: "instances", done: "removed",
	},
	{
		use: "disconnect", short: "Disconnect the ECS agent of a container instance",
		method: http.MethodPost, path: "instances/agent", parameters: url.Values{"connected": {"false"}},
		done: "ECS agent disconnected",
	},
	{
		use: "connect", short: "Reconnect the ECS agent of a container instance",
		method: http.MethodPost, path: "instances/agent", parameters: url.Values{"connected": {"true"}},
		done: "ECS agent connected",
	},
}

func newSimInstanceChange(a *app, change instanceChange) *cobra.Command {
	return &cobra.Command{
		Use: change.use + " INSTANCE", Short: change.short,
		Args: positionalArgs("INSTANCE"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			query := url.Values{"instance": {args[0]}}
			maps.Copy(query, change.parameters)
			done := "Instance " + args[0] + " " + change.done + "."
			return a.sendControl(ctx, c, change.method, change.path, query, done)
		}),
	}
}

func newSimInstancesList(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the simulated container instances",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, state, err := readState(ctx, c, cluster)
			if err != nil {
				return err
			}
			none := "No instances. Add some with \"blox sim instances add\"."
			return a.list(listOf(raw, "instances"), none, func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("INSTANCE~", "CLUSTER~", "EC2 INSTANCE", "STATUS", "ECS AGENT",
					"CPU", "MEMORY", "RUNNING", "PENDING")}
				for _, i := range state.Instances {
					agent := "disconnected"
					if i.AgentConnected {
						agent = "connected"
					}
					rows.Add(s.ID(i.ARN), s.ID(i.ClusterARN), i.EC2InstanceID, i.Status, agent,
						number(i.RemainingCPU)+"/"+number(i.CPU),
						number(i.RemainingMemory)+"/"+number(i.Memory), number(i.RunningTasks), number(i.PendingTasks))
				}
				return rows
			})
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	return cmd
}
