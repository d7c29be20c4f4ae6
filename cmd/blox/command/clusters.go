package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

func newClustersCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "clusters", Aliases: []string{"cluster"}, Short: "Inspect ECS clusters",
		Long: `Inspect ECS clusters: how many container instances and tasks each has. cluster-state-service reports clusters
that have, or recently had, a container instance or a task.`,
	}
	cmd.AddCommand(newClustersList(a), newClustersDescribe(a))
	return cmd
}

func newClustersList(a *app) *cobra.Command {
	return withWatch(&cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the clusters",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.runList(func(ctx context.Context, c *connect.Clients, _ []string) error {
			list, err := c.State.ListClustersContext(ctx, css.NewListClustersParams())
			if err != nil {
				return err
			}
			return a.list(list.Payload, "There are no clusters with instances or tasks.", func(show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("CLUSTER", "INSTANCES", "ECS AGENTS CONNECTED", "TASKS", "RUNNING",
					"ARN+")}
				for _, cluster := range list.Payload.Items {
					rows.Add(conv.Value(cluster.Name), number(sum(cluster.Instances)), show.Count(cluster.AgentsConnected),
						number(sum(cluster.Tasks)),
						number(cluster.Tasks["RUNNING"]), conv.Value(cluster.ClusterARN))
				}
				return rows
			})
		}),
	})
}

func newClustersDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "describe CLUSTER", Aliases: []string{"get", "show"},
		Short: "Count the instances and tasks of a cluster by status",
		Args:  positionalArgs("CLUSTER"), ValidArgsFunction: a.clusterNames,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			list, err := c.State.ListClustersContext(ctx, css.NewListClustersParams())
			if err != nil {
				return err
			}
			i := slices.IndexFunc(list.Payload.Items, func(cluster *models.Cluster) bool {
				return conv.Value(cluster.Name) == args[0] || conv.Value(cluster.ClusterARN) == args[0]
			})
			if i < 0 {
				return fmt.Errorf("cluster %q has no instances and no tasks\n\"blox clusters list\" lists the clusters", args[0])
			}
			cluster := list.Payload.Items[i]
			return a.print(cluster, func(show.Style) printable {
				f := &show.Fields{}
				f.Add("Cluster", conv.Value(cluster.Name))
				f.Add("ARN", conv.Value(cluster.ClusterARN))
				f.Add("Instances", byStatus(cluster.Instances))
				f.Add("ECS agents connected", show.Count(cluster.AgentsConnected))
				f.Add("Tasks", byStatus(cluster.Tasks))
				return f
			})
		}),
	}
}

func sum(counts map[string]int64) (n int64) {
	for _, count := range counts {
		n += count
	}
	return n
}

// byStatus formats counts as "5: 4 ACTIVE, 1 DRAINING".
func byStatus(counts map[string]int64) string {
	var each []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		each = append(each, fmt.Sprintf("%d %s", counts[status], status))
	}
	if len(each) == 0 {
		return "0"
	}
	return number(sum(counts)) + ": " + strings.Join(each, ", ")
}

// clusterNames completes the names of clusters.
func (a *app) clusterNames(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	if err := a.applyContext(cmd.Flags()); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := connect.Open(ctx, a.cfg, a.Getenv)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp // a completion has no place for errors
	}
	defer c.Close()
	list, err := c.State.ListClustersContext(ctx, css.NewListClustersParams())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []string
	for _, cluster := range list.Payload.Items {
		found = append(found, conv.Value(cluster.Name))
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
