package ecssim

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const groupARN = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:0:autoScalingGroupName/spot"

func (w *fixture) createProvider(in *ecs.CreateCapacityProviderInput) (*types.CapacityProvider, error) {
	out, err := w.ecs.CreateCapacityProvider(w.ctx, in)
	if err != nil {
		return nil, err
	}
	return out.CapacityProvider, nil
}

func groupInput(name string) *ecs.CreateCapacityProviderInput {
	return &ecs.CreateCapacityProviderInput{
		Name: &name, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
		AutoScalingGroupProvider: &types.AutoScalingGroupProvider{AutoScalingGroupArn: aws.String(groupARN)},
	}
}

func managedInput(cluster, name string) *ecs.CreateCapacityProviderInput {
	return &ecs.CreateCapacityProviderInput{Name: &name, Cluster: &cluster,
		ManagedInstancesProvider: &types.CreateManagedInstancesProviderConfiguration{
			InfrastructureRoleArn: aws.String("arn:aws:iam::123456789012:role/infrastructure"),
			InstanceLaunchTemplate: &types.InstanceLaunchTemplate{
				Ec2InstanceProfileArn: aws.String("arn:aws:iam::123456789012:instance-profile/ecs"),
				NetworkConfiguration:  &types.ManagedInstancesNetworkConfiguration{Subnets: []string{"subnet-1"}},
			},
		}}
}

func TestCapacityProviders_CreateUpdateDelete(t *testing.T) {
	w := newFixture(t, Config{})
	created, err := w.createProvider(groupInput("spot"))
	require.NoError(t, err)
	assert.Equal(t, types.CapacityProviderTypeEc2Autoscaling, created.Type)
	assert.Equal(t, "arn:aws:ecs:us-east-1:123456789012:capacity-provider/spot", *created.CapacityProviderArn)
	assert.Equal(t, types.ManagedDrainingEnabled, created.AutoScalingGroupProvider.ManagedDraining, "the default")

	put := func(strategy []types.CapacityProviderStrategyItem, names ...string) error {
		strategy, names = append([]types.CapacityProviderStrategyItem{}, strategy...), append([]string{}, names...)
		_, err := w.ecs.PutClusterCapacityProviders(w.ctx, &ecs.PutClusterCapacityProvidersInput{
			Cluster: aws.String("default"), CapacityProviders: names, DefaultCapacityProviderStrategy: strategy,
		})
		return err
	}
	spot := []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("spot"), Weight: 1}}
	require.ErrorAs(t, put(spot, "FARGATE"), new(*types.InvalidParameterException), "not of the cluster")
	require.NoError(t, put(spot, "spot", "FARGATE"))
	clusters, err := w.ecs.DescribeClusters(w.ctx, &ecs.DescribeClustersInput{})
	require.NoError(t, err)
	assert.Equal(t, []string{"spot", "FARGATE"}, clusters.Clusters[0].CapacityProviders)
	assert.Equal(t, "spot", *clusters.Clusters[0].DefaultCapacityProviderStrategy[0].CapacityProvider)

	updated, err := w.ecs.UpdateCapacityProvider(w.ctx, &ecs.UpdateCapacityProviderInput{Name: aws.String("spot"),
		AutoScalingGroupProvider: &types.AutoScalingGroupProviderUpdate{ManagedDraining: types.ManagedDrainingDisabled}})
	require.NoError(t, err)
	assert.Equal(t, types.ManagedDrainingDisabled, updated.CapacityProvider.AutoScalingGroupProvider.ManagedDraining)
	_, err = w.ecs.UpdateCapacityProvider(w.ctx, &ecs.UpdateCapacityProviderInput{Name: aws.String("spot"),
		AutoScalingGroupProvider: &types.AutoScalingGroupProviderUpdate{
			ManagedTerminationProtection: types.ManagedTerminationProtectionEnabled}})
	require.ErrorAs(t, err, new(*types.InvalidParameterException), "it needs managed scaling")

	remove := func() error {
		_, err := w.ecs.DeleteCapacityProvider(w.ctx, &ecs.DeleteCapacityProviderInput{CapacityProvider: aws.String("spot")})
		return err
	}
	require.ErrorAs(t, remove(), new(*types.ClientException), "the cluster has it")
	require.Len(t, w.AddProviderInstances("default", "spot", 1), 1)
	require.ErrorAs(t, put(nil), new(*types.ResourceInUseException), "an instance has it")
	require.NoError(t, w.RemoveInstance(w.Instances("")[0].ARN))
	require.NoError(t, put(nil))
	require.NoError(t, remove())
	require.ErrorAs(t, remove(), new(*types.ClientException), "it is gone")
}

func TestCapacityProviders_AreRefused(t *testing.T) {
	w := newFixture(t, Config{})
	both := groupInput("both")
	both.ManagedInstancesProvider = managedInput("default", "both").ManagedInstancesProvider
	for name, in := range map[string]*ecs.CreateCapacityProviderInput{
		"reserved": groupInput("fargate-like"), "of no kind": {Name: aws.String("none")}, "of two kinds": both,
		"in no cluster": managedInput("nope", "managed"),
	} {
		_, err := w.createProvider(in)
		assert.Error(t, err, name)
	}
	_, err := w.createProvider(groupInput("spot"))
	require.NoError(t, err)
	_, err = w.createProvider(groupInput("spot"))
	require.ErrorAs(t, err, new(*types.ClientException), "it exists")
}

func TestCapacityProviders_AreDescribed(t *testing.T) {
	w := newFixture(t, Config{})
	_, err := w.createProvider(groupInput("spot"))
	require.NoError(t, err)
	_, err = w.createProvider(managedInput("default", "managed"))
	require.NoError(t, err)
	describe := func(in *ecs.DescribeCapacityProvidersInput) (names []string, out *ecs.DescribeCapacityProvidersOutput) {
		out, err := w.ecs.DescribeCapacityProviders(w.ctx, in)
		require.NoError(t, err)
		for _, p := range out.CapacityProviders {
			names = append(names, *p.Name)
		}
		return names, out
	}
	names, out := describe(&ecs.DescribeCapacityProvidersInput{Include: []types.CapacityProviderField{"TAGS"}})
	assert.Equal(t, []string{"FARGATE", "FARGATE_SPOT", "spot"}, names)
	assert.Equal(t, "a", *out.CapacityProviders[2].Tags[0].Key)
	names, _ = describe(&ecs.DescribeCapacityProvidersInput{Cluster: aws.String("default")})
	assert.Equal(t, []string{"managed"}, names, "it is available in its cluster at once")
	_, out = describe(&ecs.DescribeCapacityProvidersInput{CapacityProviders: []string{"spot", "nope"}})
	require.Len(t, out.Failures, 1)
	assert.Equal(t, "MISSING", *out.Failures[0].Reason)
	names, out = describe(&ecs.DescribeCapacityProvidersInput{MaxResults: aws.Int32(2)})
	assert.Equal(t, []string{"FARGATE", "FARGATE_SPOT"}, names)
	names, _ = describe(&ecs.DescribeCapacityProvidersInput{MaxResults: aws.Int32(2), NextToken: out.NextToken})
	assert.Equal(t, []string{"spot"}, names)
}

func TestManagedInstances_RefuseStartTask(t *testing.T) {
	w := newFixture(t, Config{})
	require.NoError(t, w.CreateProvider("default", "managed", true))
	w.RegisterTaskDefinition("agent")
	instance := w.AddProviderInstances("default", "managed", 1)[0]
	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("agent"), ContainerInstances: []string{instance},
	})
	require.NoError(t, err)
	require.Len(t, out.Failures, 1)
	assert.Equal(t, "ATTRIBUTE", *out.Failures[0].Reason)
	assert.Equal(t, 1, w.Counters().StartsOnManaged)

	run, err := w.ecs.RunTask(w.ctx, &ecs.RunTaskInput{TaskDefinition: aws.String("agent"),
		CapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("managed")}}})
	require.NoError(t, err)
	require.Len(t, run.Tasks, 1)
	assert.Equal(t, types.LaunchTypeManagedInstances, run.Tasks[0].LaunchType)
	assert.Equal(t, "managed", *run.Tasks[0].CapacityProviderName)
	described, err := w.ecs.DescribeContainerInstances(w.ctx,
		&ecs.DescribeContainerInstancesInput{ContainerInstances: []string{instance}})
	require.NoError(t, err)
	assert.Equal(t, "managed", *described.ContainerInstances[0].CapacityProviderName)
	named := 0
	for _, e := range w.events() {
		if e.Detail["capacityProviderName"] == "managed" {
			named++
		}
	}
	assert.Positive(t, named, "events have the capacity provider")
}

func TestManagedDaemons_RunOnManagedInstancesAndStopLast(t *testing.T) {
	w := newFixture(t, Config{ServiceDelay: time.Millisecond})
	require.NoError(t, w.CreateProvider("default", "managed", true))
	w.RegisterTaskDefinition("agent")
	w.RegisterTaskDefinition("web")
	w.AddInstances("default", 1)
	require.NoError(t, w.CreateManagedDaemon("default", "logs", "agent", "managed"))
	instance := w.AddProviderInstances("default", "managed", 1)[0]
	daemons := func() []string {
		out, err := w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{DaemonName: aws.String("logs")})
		require.NoError(t, err)
		return out.TaskArns
	}
	w.eventually(func() bool { return len(daemons()) == 1 }, "a task of the daemon on the Managed Instance only")
	daemon := w.task(daemons()[0])
	assert.Equal(t, instance, daemon.InstanceARN)
	assert.Equal(t, "daemon:logs", daemon.Group)
	run, err := w.ecs.RunTask(w.ctx, &ecs.RunTaskInput{TaskDefinition: aws.String("web"),
		CapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("managed")}}})
	require.NoError(t, err)
	require.Len(t, run.Tasks, 1)

	require.NoError(t, w.ScaleInInstance(instance))
	assert.Equal(t, "DRAINING", w.Instances("")[1].Status)
	web := *run.Tasks[0].TaskArn
	_, err = w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &web})
	require.NoError(t, err)
	w.eventually(func() bool { return w.Instances("")[1].Status == "INACTIVE" }, "the instance ends after its last task")
	assert.False(t, w.task(daemon.ARN).StoppedAt.Before(w.task(web).StoppedAt), "the daemon stops last")
}

// Tasks of StartTask hold up managed draining for 48 hours.
func TestScaleIn_WaitsForTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		require.NoError(t, s.CreateProvider("default", "spot", false))
		s.RegisterTaskDefinition("agent")
		instance := s.AddProviderInstances("default", "spot", 1)[0]
		startOn(s, "agent", instance)
		require.NoError(t, s.ScaleInInstance(instance))
		time.Sleep(48*time.Hour - time.Second)
		synctest.Wait()
		assert.Equal(t, "DRAINING", s.Instances("")[0].Status)
		assert.Equal(t, "RUNNING", s.Tasks("")[0].LastStatus)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, "INACTIVE", s.Instances("")[0].Status)
		assert.Equal(t, "STOPPED", s.Tasks("")[0].LastStatus)
	})
}

func TestScaleIn_HonoursTheProvidersSettings(t *testing.T) {
	w := newFixture(t, Config{})
	in := groupInput("plain")
	in.AutoScalingGroupProvider.ManagedDraining = types.ManagedDrainingDisabled
	_, err := w.createProvider(in)
	require.NoError(t, err)
	in = groupInput("protected")
	in.AutoScalingGroupProvider.ManagedScaling = &types.ManagedScaling{Status: types.ManagedScalingStatusEnabled}
	in.AutoScalingGroupProvider.ManagedTerminationProtection = types.ManagedTerminationProtectionEnabled
	_, err = w.createProvider(in)
	require.NoError(t, err)
	_, err = w.ecs.PutClusterCapacityProviders(w.ctx, &ecs.PutClusterCapacityProvidersInput{
		Cluster: aws.String("default"), CapacityProviders: []string{"plain", "protected"},
		DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{},
	})
	require.NoError(t, err)
	w.RegisterTaskDefinition("agent")
	plain := w.AddProviderInstances("default", "plain", 1)[0]
	protected := w.AddProviderInstances("default", "protected", 1)[0]
	w.start("agent", "me", plain, protected)
	require.NoError(t, w.ScaleInInstance(plain))
	assert.Equal(t, "INACTIVE", w.Instances("")[0].Status, "without managed draining it ends at once")
	assert.ErrorContains(t, w.ScaleInInstance(protected), "managed termination protection")
	assert.Error(t, w.ScaleInInstance(w.AddInstances("default", 1)[0]), "it has no capacity provider")
}

func TestControl_CapacityProvidersAndDaemons(t *testing.T) {
	w := newFixture(t, Config{})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	w.RegisterTaskDefinition("agent")
	for _, path := range []string{
		"/_sim/capacity-providers?name=managed&managed=true",
		"/_sim/daemons?cluster=default&name=logs&taskDefinition=agent",
	} {
		assert.Equal(t, http.StatusOK, w.curl(http.MethodPost, path, "", nil), path)
	}
	var added struct{ Instances []string }
	path := "/_sim/instances?capacityProvider=managed&count=2"
	require.Equal(t, http.StatusOK, w.curl(http.MethodPost, path, "", &added))
	require.Len(t, added.Instances, 2)
	path = "/_sim/instances/scale-in?instance=" + added.Instances[0]
	assert.Equal(t, http.StatusOK, w.curl(http.MethodPost, path, "", nil))
	for path, status := range map[string]int{
		"/_sim/capacity-providers?name=aws":                        http.StatusBadRequest,
		"/_sim/capacity-providers?name=a&managed=maybe":            http.StatusBadRequest,
		"/_sim/instances?capacityProvider=nope":                    http.StatusBadRequest,
		"/_sim/daemons?cluster=default&name=a&taskDefinition=nope": http.StatusNotFound,
	} {
		assert.Equal(t, status, w.curl(http.MethodPost, path, "", nil), path)
	}
}
