package ecssim

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// registerStore registers a task definition whose volume is configured at launch.
func (w *fixture) registerStore() {
	w.t.Helper()
	_, err := w.ecs.RegisterTaskDefinition(w.ctx, &ecs.RegisterTaskDefinitionInput{
		Family:  aws.String("store"),
		Volumes: []types.Volume{{Name: aws.String("data"), ConfiguredAtLaunch: aws.Bool(true)}},
		ContainerDefinitions: []types.ContainerDefinition{
			{Name: aws.String("store"), Image: aws.String("store"), Memory: aws.Int32(64)},
		},
	})
	require.NoError(w.t, err)
}

func ebs(change func(*types.TaskManagedEBSVolumeConfiguration)) []types.TaskVolumeConfiguration {
	volume := &types.TaskManagedEBSVolumeConfiguration{
		RoleArn: aws.String("arn:aws:iam::123456789012:role/ebs"), SizeInGiB: aws.Int32(20),
		TerminationPolicy: &types.TaskManagedEBSVolumeTerminationPolicy{DeleteOnTermination: aws.Bool(false)},
		TagSpecifications: []types.EBSTagSpecification{{
			ResourceType: types.EBSResourceTypeVolume, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
		}},
	}
	change(volume)
	return []types.TaskVolumeConfiguration{{Name: aws.String("data"), ManagedEBSVolume: volume}}
}

func TestVolumes_AreAttached(t *testing.T) {
	w := newFixture(t, Config{})
	w.registerStore()
	instance := w.AddInstances("default", 1)[0]
	volumes := ebs(func(*types.TaskManagedEBSVolumeConfiguration) {})
	started, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("store"), ContainerInstances: []string{instance}, VolumeConfigurations: volumes,
	})
	require.NoError(t, err)
	require.Len(t, started.Tasks, 1)
	run, err := w.ecs.RunTask(w.ctx, &ecs.RunTaskInput{TaskDefinition: aws.String("store"), VolumeConfigurations: volumes})
	require.NoError(t, err)
	require.Len(t, run.Tasks, 1)
	for _, task := range append(started.Tasks, run.Tasks...) {
		require.Len(t, task.Attachments, 1)
		attached := task.Attachments[0]
		assert.Equal(t, "AmazonElasticBlockStorage", *attached.Type)
		details := map[string]string{}
		for _, d := range attached.Details {
			details[*d.Name] = *d.Value
		}
		assert.Contains(t, details["volumeId"], "vol-")
		delete(details, "volumeId")
		assert.Equal(t, map[string]string{
			"roleArn": "arn:aws:iam::123456789012:role/ebs", "volumeName": "data", "deleteOnTermination": "false",
		}, details)
	}
}

func TestVolumes_AreValidated(t *testing.T) {
	w := newFixture(t, Config{})
	w.registerStore()
	w.RegisterTaskDefinition("agent")
	instance := w.AddInstances("default", 1)[0]
	type config = types.TaskManagedEBSVolumeConfiguration
	none := func(*config) {}
	twice := append(ebs(none), ebs(none)...)
	renamed := ebs(none)
	renamed[0].Name = aws.String("other")
	for name, test := range map[string]struct {
		family  string
		volumes []types.TaskVolumeConfiguration
	}{
		"none":                        {"store", nil},
		"two":                         {"store", twice},
		"of another name":             {"store", renamed},
		"of a definition without one": {"agent", ebs(none)},
		"without size and snapshot":   {"store", ebs(func(v *config) { v.SizeInGiB = nil })},
		"too large":                   {"store", ebs(func(v *config) { v.SizeInGiB = aws.Int32(16385) })},
		"of an unknown type":          {"store", ebs(func(v *config) { v.VolumeType = aws.String("gp9") })},
		"io2 without iops":            {"store", ebs(func(v *config) { v.VolumeType = aws.String("io2") })},
		"throughput beyond gp3":       {"store", ebs(func(v *config) { v.Throughput = aws.Int32(1001) })},
		"a rate without a snapshot":   {"store", ebs(func(v *config) { v.VolumeInitializationRate = aws.Int32(100) })},
		"no role's ARN":               {"store", ebs(func(v *config) { v.RoleArn = aws.String("ebs") })},
		"a file system of no kind":    {"store", ebs(func(v *config) { v.FilesystemType = "zfs" })},
	} {
		_, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
			TaskDefinition: &test.family, ContainerInstances: []string{instance}, VolumeConfigurations: test.volumes,
		})
		require.ErrorAs(t, err, new(*types.InvalidParameterException), name)
	}
	assert.Empty(t, w.Tasks(""))
}

func TestOverrides_AllGPUs(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("trainer")
	instances := []string{w.addGPUInstance("g1", "g2"), w.AddInstances("default", 1)[0]}
	all := w.startWithGPUs("trainer", "ALL", instances[0])
	require.Len(t, all.Tasks, 1)
	assert.ElementsMatch(t, []string{"g1", "g2"}, all.Tasks[0].Containers[0].GpuIds)
	_, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: all.Tasks[0].TaskArn})
	require.NoError(t, err)
	require.Len(t, w.startWithGPUs("trainer", "1", instances[0]).Tasks, 1)
	for _, instance := range instances {
		failed := w.startWithGPUs("trainer", "ALL", instance).Failures
		require.Len(t, failed, 1, "one of the GPUs is reserved, or there are none")
		assert.Equal(t, "RESOURCE:GPU", *failed[0].Reason)
	}
}

func TestInstanceHealth_IsIncludedOnRequest(t *testing.T) {
	w := newFixture(t, Config{})
	instance := w.AddInstances("default", 1)[0]
	describe := func(include ...types.ContainerInstanceField) types.ContainerInstance {
		out, err := w.ecs.DescribeContainerInstances(w.ctx, &ecs.DescribeContainerInstancesInput{
			ContainerInstances: []string{instance}, Include: include,
		})
		require.NoError(t, err)
		return out.ContainerInstances[0]
	}
	assert.Nil(t, describe().HealthStatus)
	health := types.ContainerInstanceFieldContainerInstanceHealth
	assert.Equal(t, types.InstanceHealthCheckStateOk, describe(health).HealthStatus.OverallStatus)
	version := w.Instances("")[0].Version
	w.events()
	require.NoError(t, w.SetInstanceHealth(instance, "IMPAIRED"))
	assert.Equal(t, types.InstanceHealthCheckStateImpaired, describe(health).HealthStatus.OverallStatus)
	events := w.events()
	require.Len(t, events, 1)
	assert.Equal(t, "ECS Container Instance Health Change", events[0].DetailType)
	assert.Equal(t, "IMPAIRED", events[0].Detail["overallStatus"])
	assert.Equal(t, version, w.Instances("")[0].Version, "health has no version")
	require.Error(t, w.SetInstanceHealth(instance, "SICK"))
}

func TestClusters_IncludeOnRequest(t *testing.T) {
	w := newFixture(t, Config{})
	_, err := w.ecs.CreateCluster(w.ctx, &ecs.CreateClusterInput{
		ClusterName: aws.String("prod"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
		Settings: []types.ClusterSetting{{Name: "containerInsights", Value: aws.String("enabled")}},
		Configuration: &types.ClusterConfiguration{
			ExecuteCommandConfiguration: &types.ExecuteCommandConfiguration{Logging: "NONE"},
		},
	})
	require.NoError(t, err)
	describe := func(include ...types.ClusterField) types.Cluster {
		out, err := w.ecs.DescribeClusters(w.ctx, &ecs.DescribeClustersInput{Clusters: []string{"prod"}, Include: include})
		require.NoError(t, err)
		return out.Clusters[0]
	}
	bare := describe()
	assert.Empty(t, bare.Tags)
	assert.Empty(t, bare.Settings)
	assert.Nil(t, bare.Configuration)
	full := describe("TAGS", "SETTINGS", "CONFIGURATIONS", "STATISTICS")
	assert.Len(t, full.Tags, 1)
	assert.Len(t, full.Settings, 1)
	assert.Equal(t, types.ExecuteCommandLogging("NONE"), full.Configuration.ExecuteCommandConfiguration.Logging)
	assert.Len(t, full.Statistics, 3)
}

// An unsupported member makes a call fail, not behave as if it had been honoured.
func TestMembers_UnsupportedOnesFail(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("web")
	_, err := w.ecs.CreateService(w.ctx, &ecs.CreateServiceInput{
		ServiceName: aws.String("web"), TaskDefinition: aws.String("web"), DesiredCount: aws.Int32(1),
		LoadBalancers: []types.LoadBalancer{{ContainerName: aws.String("web"), ContainerPort: aws.Int32(80)}},
	})
	var refused *types.InvalidParameterException
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, `The simulator does not support the member "loadBalancers".`, *refused.Message)
}
