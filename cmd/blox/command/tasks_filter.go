package command

import (
	"github.com/spf13/cobra"

	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
)

// searchHelp describes the flag of a search, which the API has for tasks and container instances.
const searchHelp = "only if an ID or another property contains this `text`; case-insensitive"

// taskFilter holds the flags that select tasks.
type taskFilter struct {
	placeFilter
	cluster, status, desired, startedBy, family, definition, instance, launch string
	group, stopCode, provider, ec2, since, search                             string
	all                                                                       bool
}

// includesStopped reports whether the list has stopped tasks, which are rarely of interest.
func (f *taskFilter) includesStopped() bool { return f.all || f.status != "" || f.stopCode != "" }

func (f *taskFilter) params() *css.ListTasksParams {
	return css.NewListTasksParams().WithCluster(optional(f.cluster)).WithStatus(optional(f.status)).
		WithDesiredStatus(optional(f.desired)).WithStartedBy(optional(f.startedBy)).WithFamily(optional(f.family)).
		WithTaskDefinition(optional(f.definition)).WithContainerInstance(optional(f.instance)).
		WithLaunchType(optional(f.launch)).WithGroup(optional(f.group)).WithStopCode(optional(f.stopCode)).
		WithCapacityProviderName(optional(f.provider)).WithEc2InstanceID(optional(f.ec2)).WithSince(optional(f.since)).
		WithSearch(optional(f.search)).WithAccount(optional(f.account)).WithRegion(optional(f.region))
}

func (f *taskFilter) addFlags(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&f.all, "all", "a", false, "list stopped tasks, too")
	flags.StringVar(&f.cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	f.placeFilter.addFlags(cmd)
	flags.StringVar(&f.status, "status", "",
		"only with this last `status`, such as PENDING, RUNNING or STOPPED; case-insensitive")
	flags.StringVar(&f.startedBy, "started-by", "", "only with this `startedBy`, such as a deployment's ID")
	flags.StringVar(&f.since, "since", "", "only if changed at this `time` or later, in RFC 3339")
	flags.StringVar(&f.desired, "desired-status", "", "only with this desired `status`: RUNNING or STOPPED")
	flags.StringVar(&f.family, "family", "", "only of this task definition `family`, any revision")
	flags.StringVar(&f.definition, "task-definition", "", "only of this task definition, `family:revision` or an ARN")
	flags.StringVar(&f.instance, "instance", "", "only on this container instance, an `ID` or an ARN")
	flags.StringVar(&f.launch, "launch-type", "",
		"only with this launch `type`: EC2, FARGATE, EXTERNAL or MANAGED_INSTANCES")
	flags.StringVar(&f.group, "group", "", "only in this task `group`, such as service:web")
	flags.StringVar(&f.stopCode, "stop-code", "", "only with this stop `code`, such as UserInitiated")
	flags.StringVar(&f.provider, "capacity-provider", "", "only of this capacity provider, a `name`")
	flags.StringVar(&f.ec2, "ec2-instance-id", "", "only on the EC2 instance with this `ID`, or mi-… on ECS Anywhere")
	flags.StringVar(&f.search, "search", "", searchHelp)
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
	_ = cmd.RegisterFlagCompletionFunc("status", fixed("PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING",
		"STOPPING", "DEPROVISIONING", "STOPPED", "DELETED"))
	_ = cmd.RegisterFlagCompletionFunc("desired-status", fixed("RUNNING", "STOPPED"))
	_ = cmd.RegisterFlagCompletionFunc("launch-type", fixed("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"))
}
