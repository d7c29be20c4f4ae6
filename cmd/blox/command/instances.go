package command

import (
	"context"
	"strings"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/arn"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

func newInstancesCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "instances", Aliases: []string{"instance"}, Short: "Inspect container instances",
		Long: `Inspect the container instances of your clusters, as ECS last reported them.`,
	}
	cmd.AddCommand(newInstancesList(a), newInstancesDescribe(a))
	return cmd
}

// attributeFilter returns the API's filter name:value of a flag in the form name=value. It keeps other forms.
func attributeFilter(flag string) string {
	if name, value, found := strings.Cut(flag, "="); found && !strings.Contains(name, ":") {
		return name + ":" + value
	}
	return flag
}

func newInstancesList(a *app) *cobra.Command {
	var cluster, status, attribute, ec2, agent, provider, since, search string
	var place placeFilter
	var page pageSize
	cmd := withWatch(&cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List container instances",
		Long: `List the container instances that match all flags. With -o wide, CPU and MEMORY show
remaining/registered, in CPU units and MiB.`,
		Example: `  blox instances list --cluster default --status ACTIVE
  blox instances list --attribute ecs.instance-type=m6i.large --agent-connected false`,
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.runList(func(ctx context.Context, c *connect.Clients, _ []string) error {
			params := css.NewListInstancesParams().WithCluster(optional(cluster)).WithStatus(optional(status)).
				WithAttribute(optional(attributeFilter(attribute))).WithEc2InstanceID(optional(ec2)).
				WithAgentConnected(optional(agent)).WithCapacityProviderName(optional(provider)).WithSince(optional(since)).
				WithSearch(optional(search)).WithAccount(optional(place.account)).WithRegion(optional(place.region))
			list, err := allInstances(ctx, c, params, page)
			if err != nil {
				return err
			}
			return a.list(list, "No instances found.", func(s show.Style) *show.Rows {
				rows := instanceRows()
				var clusters []string
				for _, i := range list.Items {
					clusters = append(clusters, conv.Value(i.Entity.ClusterARN))
				}
				s = s.WithClusters(clusters...)
				for _, i := range list.Items {
					addInstance(rows, s, i)
				}
				return rows
			})
		}),
	})
	flags := cmd.Flags()
	flags.StringVar(&cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	place.addFlags(cmd)
	flags.StringVar(&status, "status", "",
		"only with this `status`: REGISTERING, REGISTRATION_FAILED, ACTIVE, DRAINING, DEREGISTERING or INACTIVE; "+
			"case-insensitive")
	flags.StringVar(&attribute, "attribute", "", "only with this attribute, `name=value`, or name for any value")
	flags.StringVar(&ec2, "ec2-instance-id", "", "only the EC2 instance with this `ID`, or mi-… on ECS Anywhere")
	flags.StringVar(&agent, "agent-connected", "", "only with the ECS agent connected (`true`) or disconnected (false)")
	flags.StringVar(&provider, "capacity-provider", "", "only of this capacity provider, a `name`")
	flags.StringVar(&since, "since", "", "only if changed at this `time` or later, in RFC 3339")
	flags.StringVar(&search, "search", "", searchHelp)
	page.addFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
	_ = cmd.RegisterFlagCompletionFunc("status",
		fixed("REGISTERING", "REGISTRATION_FAILED", "ACTIVE", "DRAINING", "DEREGISTERING", "INACTIVE"))
	_ = cmd.RegisterFlagCompletionFunc("agent-connected", fixed("true", "false"))
	return cmd
}

// allInstances reads all pages of a list. Each page is exact at its own version. The metadata is the first page's: a
// stream that starts there misses nothing.
func allInstances(
	ctx context.Context, c *connect.Clients, params *css.ListInstancesParams, size pageSize,
) (*models.ContainerInstances, error) {
	var metadata *models.ListMetadata
	params.SetLimit((*int32)(&size))
	items, err := allPages(func(token string) ([]*models.ContainerInstance, string, error) {
		response, err := c.State.ListInstancesContext(ctx, params.WithNextToken(optional(token)))
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
	return &models.ContainerInstances{Metadata: metadata, Items: items}, nil
}

func instanceRows() *show.Rows {
	return &show.Rows{Columns: show.Columns("INSTANCE~", "CLUSTER~", "EC2 INSTANCE", "STATUS", "ECS AGENT", "AGE",
		"CPU+", "MEMORY+", "ECS AGENT VERSION+", "VERSION+")}
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
	rows.Add(s.ID(conv.Value(e.ContainerInstanceARN)), s.Cluster(conv.Value(e.ClusterARN)), e.EC2InstanceID,
		conv.Value(e.Status), agent, s.Age(parseTime(e.RegisteredAt)),
		remainingOf(e, "CPU"), remainingOf(e, "MEMORY"), version, versionOf(i.Metadata))
}

// remainingOf formats a resource as "1920/2048": remaining/registered.
func remainingOf(e *models.ContainerInstanceDetail, resource string) string {
	value := func(list []*models.ContainerInstanceResource) string {
		for _, r := range list {
			if conv.Value(r.Name) == resource {
				return conv.Value(r.Value)
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
	return conv.Value(m.EntityVersion)
}

func newInstancesDescribe(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "describe INSTANCE", Aliases: []string{"get", "show"}, Short: "Show one container instance",
		Long: `Show one container instance. INSTANCE is its ARN, its ID, a unique prefix of the ID, or its EC2 instance ID.
-o yaml shows every field.`,
		Args: positionalArgs("INSTANCE"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			i, err := findInstance(ctx, c, args[0], cluster)
			if err != nil {
				return err
			}
			return a.print(i, func(s show.Style) printable { return instanceFields(s, i) })
		}),
	}
	a.clusterFlag(cmd, &cluster)
	return cmd
}

func findInstance(ctx context.Context, c *connect.Clients, wanted, cluster string) (*models.ContainerInstance, error) {
	if in, ok := clusterOfARN(wanted, arn.ContainerInstance, cluster); ok {
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
	list, err := allInstances(ctx, c, params, defaultPageSize)
	if err != nil {
		return nil, err
	}
	return findByID(wanted, "container instance", list.Items, func(i *models.ContainerInstance) string {
		if ec2 {
			return i.Entity.EC2InstanceID
		}
		return entityID(conv.Value(i.Entity.ContainerInstanceARN), wanted)
	})
}

func instanceFields(s show.Style, i *models.ContainerInstance) *show.Fields {
	e, f := i.Entity, &show.Fields{}
	f.Add("Instance", s.ID(conv.Value(e.ContainerInstanceARN)))
	f.Add("ARN", conv.Value(e.ContainerInstanceARN))
	f.Add("Cluster", s.ID(conv.Value(e.ClusterARN)))
	f.Add("EC2 instance", e.EC2InstanceID)
	f.Add("Status", conv.Value(e.Status))
	if e.AgentConnected != nil {
		f.Add("ECS agent connected", show.YesNo(*e.AgentConnected))
	}
	f.Add("ECS agent update", e.AgentUpdateStatus)
	if v := e.VersionInfo; v != nil {
		f.Add("Versions", joinNonEmpty(labelled("ECS agent ", v.AgentVersion),
			labelled("docker ", strings.TrimPrefix(v.DockerVersion, "DockerVersion: "))))
	}
	for _, r := range e.RegisteredResources {
		switch name := conv.Value(r.Name); name {
		case "CPU", "MEMORY":
			f.Add(name+" free", remainingOf(e, name))
		default:
			for _, left := range e.RemainingResources {
				if conv.Value(left.Name) == name {
					f.Add(name, conv.Value(left.Value))
				}
			}
		}
	}
	var attributes []string
	for _, attribute := range e.Attributes {
		attributes = append(attributes, strings.TrimSuffix(conv.Value(attribute.Name)+"="+conv.Value(attribute.Value), "="))
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
