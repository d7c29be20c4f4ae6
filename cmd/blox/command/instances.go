package command

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/arn"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

func newInstancesCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "instances", Aliases: []string{"instance"}, Short: "See the container instances of your clusters",
		Long: `See the container instances of your clusters, as ECS last told of them.`,
	}
	cmd.AddCommand(newInstancesList(a), newInstancesDescribe(a))
	return cmd
}

func newInstancesList(a *app) *cobra.Command {
	var cluster, status, attribute, ec2, agent string
	var page pageSize
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List container instances",
		Long: `List container instances: all that match every flag that is given. CPU and MEMORY are what no task has taken, of
what there is in all, in CPU units and MiB.`,
		Example: `  blox instances list --cluster default --status ACTIVE
  blox instances list --attribute ecs.instance-type:m6i.large --agent-connected false`,
		Args: names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			list, err := allInstances(ctx, c, css.NewListInstancesParams().WithCluster(optional(cluster)).WithStatus(optional(status)).
				WithAttribute(optional(attribute)).WithEc2InstanceID(optional(ec2)).WithAgentConnected(optional(agent)), page)
			if err != nil {
				return err
			}
			return a.list(list, "There are no such instances.", func(s show.Style) *show.Rows {
				rows := instanceRows()
				for _, i := range list.Items {
					addInstance(rows, s, i)
				}
				return rows
			})
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&cluster, "cluster", "", "only those of this cluster, a `name` or an ARN")
	flags.StringVar(&status, "status", "", "only those in this `status`: REGISTERING, REGISTRATION_FAILED, ACTIVE, DRAINING, DEREGISTERING or INACTIVE, in any case")
	flags.StringVar(&attribute, "attribute", "", "only those with this attribute, `name:value`, or name for any value")
	flags.StringVar(&ec2, "ec2-instance-id", "", "only the one with this `id` in EC2, or mi-… on ECS Anywhere")
	flags.StringVar(&agent, "agent-connected", "", "only those whose ECS agent is connected (`true`), or is not (false)")
	page.add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
	_ = cmd.RegisterFlagCompletionFunc("status", fixed("REGISTERING", "REGISTRATION_FAILED", "ACTIVE", "DRAINING", "DEREGISTERING", "INACTIVE"))
	_ = cmd.RegisterFlagCompletionFunc("agent-connected", fixed("true", "false"))
	return cmd
}

// pageSize is how many items are asked for at once.
type pageSize int32

const usualPage pageSize = 500

func (p *pageSize) add(cmd *cobra.Command) {
	cmd.Flags().Int32Var((*int32)(p), "page-size", int32(usualPage), "how many items are asked for at once, 1 to 1000, until there are no more; API Gateway passes 10 MB at most")
}

// allInstances is every page of a list, of so many items each. Each page is exact at its own version; the metadata is the first one's, with which a
// stream misses nothing.
func allInstances(ctx context.Context, c *connect.Clients, params *css.ListInstancesParams, page pageSize) (*models.ContainerInstances, error) {
	all := &models.ContainerInstances{Items: []*models.ContainerInstance{}}
	for params.SetLimit((*int32)(&page)); ; {
		got, err := c.State.ListInstancesContext(ctx, params)
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

func fixed(choices ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)
}

func instanceRows() *show.Rows {
	return &show.Rows{Columns: show.Columns("INSTANCE~", "CLUSTER~", "EC2 INSTANCE", "STATUS", "AGENT", "CPU", "MEMORY", "AGENT VERSION+", "VERSION+")}
}

func addInstance(rows *show.Rows, s show.Style, i *models.ContainerInstance) {
	e := i.Entity
	agent := "disconnected"
	if e.AgentConnected != nil && *e.AgentConnected {
		agent = "connected"
	}
	var version string
	if e.VersionInfo != nil {
		version = e.VersionInfo.AgentVersion
	}
	rows.Add(s.ID(text(e.ContainerInstanceARN)), s.ID(text(e.ClusterARN)), e.EC2InstanceID, text(e.Status), agent, freeOf(e, "CPU"), freeOf(e, "MEMORY"),
		version, versionOf(i.Metadata))
}

// freeOf is "1920/2048".
func freeOf(e *models.ContainerInstanceDetail, resource string) string {
	value := func(list []*models.ContainerInstanceResource) string {
		for _, r := range list {
			if text(r.Name) == resource {
				return text(r.Value)
			}
		}
		return ""
	}
	free, all := value(e.RemainingResources), value(e.RegisteredResources)
	if free == "" && all == "" {
		return ""
	}
	return free + "/" + all
}

func versionOf(m *models.Metadata) string {
	if m == nil {
		return ""
	}
	return text(m.EntityVersion)
}

func newInstancesDescribe(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "describe INSTANCE", Aliases: []string{"get", "show"}, Short: "Show one container instance",
		Long: `Show one container instance. INSTANCE is its ARN, its id or so much of the id's beginning that it is no other's, or
its id in EC2. -o yaml shows all that there is.`,
		Args: names("INSTANCE"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			i, err := findInstance(ctx, c, args[0], cluster)
			if err != nil {
				return err
			}
			return a.print(i, func(s show.Style) written { return instanceFields(s, i) })
		}),
	}
	a.lookIn(cmd, &cluster)
	return cmd
}

func findInstance(ctx context.Context, c *connect.Clients, wanted, cluster string) (*models.ContainerInstance, error) {
	if in, ok := clusterToAsk(wanted, arn.ContainerInstance, cluster); ok {
		got, err := c.State.GetInstanceContext(ctx, css.NewGetInstanceParams().WithCluster(in).WithArn(wanted))
		if err != nil {
			return nil, err
		}
		return got.Payload, nil
	}
	params := css.NewListInstancesParams().WithCluster(optional(cluster))
	ec2 := strings.HasPrefix(wanted, "i-") || strings.HasPrefix(wanted, "mi-")
	if ec2 {
		params.SetEc2InstanceID(&wanted)
	}
	list, err := allInstances(ctx, c, params, usualPage)
	if err != nil {
		return nil, err
	}
	return findByID(wanted, "container instance", list.Items, func(i *models.ContainerInstance) string {
		if ec2 {
			return i.Entity.EC2InstanceID
		}
		return entityID(text(i.Entity.ContainerInstanceARN), wanted)
	})
}

// entityID is what wanted is compared with: the ARN, when it is one too.
func entityID(of, wanted string) string {
	if strings.HasPrefix(wanted, "arn:") {
		return of
	}
	return (show.Style{}).ID(of)
}

// lookIn adds the flag that names the cluster to look in.
func (a *app) lookIn(cmd *cobra.Command, cluster *string) {
	cmd.Flags().StringVar(cluster, "cluster", "", "look in this cluster only, a `name` or an ARN")
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
}

// clusterToAsk is the name of the cluster in which to get what has the ARN wanted: the ARN's own, or for one of the short form the
// one given. It is not ok when wanted is no ARN of that kind, or there is neither.
func clusterToAsk(wanted string, kind arn.Kind, given string) (name string, ok bool) {
	named, err := arn.ParseKind(wanted, kind)
	name = cmp.Or(named.Cluster, clusterName(given))
	return name, err == nil && name != ""
}

// clusterName is the name in a cluster's ARN, or what is a name already.
func clusterName(cluster string) string { return (show.Style{}).ID(cluster) }

func instanceFields(s show.Style, i *models.ContainerInstance) *show.Fields {
	e, f := i.Entity, &show.Fields{}
	f.Add("Instance", s.ID(text(e.ContainerInstanceARN)))
	f.Add("ARN", text(e.ContainerInstanceARN))
	f.Add("Cluster", s.ID(text(e.ClusterARN)))
	f.Add("EC2 instance", e.EC2InstanceID)
	f.Add("Status", text(e.Status))
	if e.AgentConnected != nil {
		f.Add("Agent connected", show.YesNo(*e.AgentConnected))
	}
	f.Add("Agent update", e.AgentUpdateStatus)
	if v := e.VersionInfo; v != nil {
		f.Add("Versions", joined(labelled("agent ", v.AgentVersion), labelled("docker ", strings.TrimPrefix(v.DockerVersion, "DockerVersion: "))))
	}
	for _, r := range e.RegisteredResources {
		switch name := text(r.Name); name {
		case "CPU", "MEMORY":
			f.Add(name+" free", freeOf(e, name))
		default:
			for _, left := range e.RemainingResources {
				if text(left.Name) == name {
					f.Add(name, text(left.Value))
				}
			}
		}
	}
	var attributes []string
	for _, attribute := range e.Attributes {
		attributes = append(attributes, strings.TrimSuffix(text(attribute.Name)+"="+text(attribute.Value), "="))
	}
	f.Add("Attributes", strings.Join(attributes, ", "))
	f.Add("Entity version", versionOf(i.Metadata))
	return f
}

func labelled(label, value string) string {
	if value == "" {
		return ""
	}
	return label + value
}
