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
	var place placeFilter
	cmd := withWatch(&cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the clusters",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.runList(func(ctx context.Context, c *connect.Clients, _ []string) error {
			list, err := c.State.ListClustersContext(ctx, css.NewListClustersParams().
				WithAccount(optional(place.account)).WithRegion(optional(place.region)))
			if err != nil {
				return err
			}
			return a.list(list.Payload, "There are no clusters with instances or tasks.", func(s show.Style) *show.Rows {
				s = s.WithClusters(clusterARNs(list.Payload.Items)...)
				s.Wide = false // which has a column for the ARN
				rows := &show.Rows{Columns: show.Columns("CLUSTER", "INSTANCES", "ECS AGENTS CONNECTED", "TASKS", "RUNNING",
					"ARN+")}
				for _, cluster := range list.Payload.Items {
					rows.Add(s.Cluster(conv.Value(cluster.ClusterARN)), number(sum(cluster.Instances)),
						show.Count(cluster.AgentsConnected), number(sum(cluster.Tasks)),
						number(cluster.Tasks["RUNNING"]), conv.Value(cluster.ClusterARN))
				}
				return rows
			})
		}),
	})
	place.addFlags(cmd)
	return cmd
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
			cluster, err := findCluster(list.Payload.Items, args[0])
			if err != nil {
				return err
			}
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

// findCluster returns the cluster with that name or ARN.
func findCluster(list []*models.Cluster, given string) (*models.Cluster, error) {
	var found []*models.Cluster
	for _, cluster := range list {
		if conv.Value(cluster.Name) == given || conv.Value(cluster.ClusterARN) == given {
			found = append(found, cluster)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("cluster %q has no instances and no tasks\n\"blox clusters list\" lists the clusters", given)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%d clusters have the name %q: give the ARN of one of them:\n%s", len(found), given,
		strings.Join(clusterARNs(found), "\n"))
}

func clusterARNs(list []*models.Cluster) (arns []string) {
	for _, cluster := range list {
		arns = append(arns, conv.Value(cluster.ClusterARN))
	}
	return arns
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
	s := (show.Style{}).WithClusters(clusterARNs(list.Payload.Items)...)
	var found []string
	for _, cluster := range list.Payload.Items {
		name, clusterARN := conv.Value(cluster.Name), conv.Value(cluster.ClusterARN)
		if s.Cluster(clusterARN) != name { // others have the name, too
			name = clusterARN
		}
		found = append(found, name)
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
