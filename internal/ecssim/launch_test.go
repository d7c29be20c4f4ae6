package ecssim

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStartTask_RejectsInvalidParameters(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances("default", 1)
	container := func(c types.ContainerOverride) *ecs.StartTaskInput {
		c.Name = aws.String("agent")
		return &ecs.StartTaskInput{Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{c}}}
	}
	tags := func(all ...types.Tag) *ecs.StartTaskInput { return &ecs.StartTaskInput{Tags: all} }
	many := make([]types.Tag, 51)
	for i := range many {
		many[i] = types.Tag{Key: aws.String(strings.Repeat("k", i+1))}
	}
	for name, test := range map[string]struct {
		in   *ecs.StartTaskInput
		want string
	}{
		"tags of the service":    {&ecs.StartTaskInput{PropagateTags: types.PropagateTagsService}, "propagateTags"},
		"51 tags":                {tags(many...), "at most 50"},
		"a reserved tag":         {tags(types.Tag{Key: aws.String("Aws:x"), Value: aws.String("1")}), "begin with aws:"},
		"an empty tag key":       {tags(types.Tag{Key: aws.String("")}), "1 to 128"},
		"a long tag value":       {tags(types.Tag{Key: aws.String("k"), Value: aws.String(strings.Repeat("v", 257))}), "256"},
		"a tag key given twice":  {tags(types.Tag{Key: aws.String("k")}, types.Tag{Key: aws.String("k")}), "Duplicate"},
		"negative memory":        {container(types.ContainerOverride{Memory: aws.Int32(-1)}), "not negative"},
		"21 GiB is the smallest": {&ecs.StartTaskInput{Overrides: &types.TaskOverride{EphemeralStorage: &types.EphemeralStorage{SizeInGiB: 20}}}, "from 21 to 200"},
		"no number of GPUs": {container(types.ContainerOverride{ResourceRequirements: []types.ResourceRequirement{
			{Type: types.ResourceTypeGpu, Value: aws.String("few")},
		}}), "GPU count"},
		"an unknown resource": {container(types.ContainerOverride{ResourceRequirements: []types.ResourceRequirement{
			{Type: "TPU", Value: aws.String("1")},
		}}), "TPU"},
		"an environment file outside of S3": {container(types.ContainerOverride{EnvironmentFiles: []types.EnvironmentFile{
			{Type: types.EnvironmentFileTypeS3, Value: aws.String("/etc/agent.env")},
		}}), "Amazon S3"},
	} {
		t.Run(name, func(t *testing.T) {
			test.in.TaskDefinition, test.in.ContainerInstances = aws.String("agent"), instances
			_, err := w.ecs.StartTask(w.ctx, test.in)
			var refused *types.InvalidParameterException
			require.ErrorAs(t, err, &refused)
			assert.Contains(t, *refused.Message, test.want)
		})
	}
	assert.Empty(t, w.Tasks(""))
}

func TestStartTask_ShowsOverridesAndTags(t *testing.T) {
	w := newFixture(t, Config{})
	_, err := w.ecs.RegisterTaskDefinition(w.ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("agent"), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("core")}},
		ContainerDefinitions: []types.ContainerDefinition{
			{Name: aws.String("agent"), Image: aws.String("agent"), Cpu: 128, Memory: aws.Int32(256)},
		},
	})
	require.NoError(t, err)
	file := types.EnvironmentFile{Type: types.EnvironmentFileTypeS3, Value: aws.String("arn:aws:s3:::conf/agent.env")}
	_, err = w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("agent"), ContainerInstances: w.AddInstances("default", 1), EnableECSManagedTags: true,
		PropagateTags: types.PropagateTagsTaskDefinition, Tags: []types.Tag{{Key: aws.String("own"), Value: aws.String("1")}},
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{
			Name: aws.String("agent"), Cpu: aws.Int32(512), Memory: aws.Int32(1024),
			EnvironmentFiles: []types.EnvironmentFile{file},
		}}},
	})
	require.NoError(t, err)
	out, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{
		Tasks: []string{w.Tasks("")[0].ARN}, Include: []types.TaskField{types.TaskFieldTags},
	})
	require.NoError(t, err)
	task := out.Tasks[0]
	tags := map[string]string{}
	for _, one := range task.Tags {
		tags[*one.Key] = *one.Value
	}
	assert.Equal(t, map[string]string{"own": "1", "team": "core", "aws:ecs:clusterName": "default"}, tags)
	assert.Equal(t, []types.EnvironmentFile{file}, task.Overrides.ContainerOverrides[0].EnvironmentFiles)
	assert.Equal(t, "512", *task.Containers[0].Cpu)
	assert.Equal(t, 2048-512, w.Instances("")[0].RemainingCPU)
	assert.Equal(t, 7680-1024, w.Instances("")[0].RemainingMem)
}

func TestStartTask_ReservesGPUs(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	instance := w.addGPUInstance("GPU-b", "GPU-a")
	start := func(gpus string) *ecs.StartTaskOutput { return w.startWithGPUs("agent", gpus, instance) }
	first := start("1")
	assert.Equal(t, []string{"GPU-a"}, first.Tasks[0].Containers[0].GpuIds)
	assert.Equal(t, "RESOURCE:GPU", *start("2").Failures[0].Reason)
	require.NoError(t, w.KillTask(*first.Tasks[0].TaskArn, 0))
	both := start("2")
	assert.Equal(t, []string{"GPU-a", "GPU-b"}, both.Tasks[0].Containers[0].GpuIds)
	described, err := w.ecs.DescribeContainerInstances(w.ctx, &ecs.DescribeContainerInstancesInput{
		ContainerInstances: []string{instance},
	})
	require.NoError(t, err)
	remaining := described.ContainerInstances[0].RemainingResources
	last := remaining[len(remaining)-1]
	assert.Equal(t, "GPU", *last.Name)
	assert.Empty(t, last.StringSetValue)
}

func TestListTasks_FiltersByDesiredStatusInAnyCaseAndByDaemon(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("agent"), ContainerInstances: w.AddInstances("default", 1),
		Group: aws.String("daemon:agent"),
	})
	require.NoError(t, err)
	for _, test := range []struct {
		in   ecs.ListTasksInput
		want int
	}{
		{ecs.ListTasksInput{DesiredStatus: "running"}, 1},
		{ecs.ListTasksInput{DesiredStatus: "Stopped"}, 0},
		{ecs.ListTasksInput{DaemonName: aws.String("agent")}, 1},
		{ecs.ListTasksInput{DaemonName: aws.String("other")}, 0},
	} {
		listed, err := w.ecs.ListTasks(w.ctx, &test.in)
		require.NoError(t, err)
		assert.Len(t, listed.TaskArns, test.want, "%+v", test.in)
	}
	_, err = w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{DaemonName: aws.String("agent"), StartedBy: aws.String("me")})
	require.ErrorAs(t, err, new(*types.InvalidParameterException), "startedBy must be the only filter")
	assert.Len(t, out.Tasks, 1)
}

func TestPutAttributes_RejectsInvalidAttributes(t *testing.T) {
	w := newFixture(t, Config{})
	instance := w.AddInstances("default", 1)[0]
	put := func(name, value string) error {
		_, err := w.ecs.PutAttributes(w.ctx, &ecs.PutAttributesInput{Attributes: []types.Attribute{
			{Name: &name, Value: &value, TargetId: &instance},
		}})
		return err
	}
	long := strings.Repeat("a", 129)
	for _, pair := range [][2]string{
		{"rack 1", "a"}, {"räck", "a"}, {"", "a"}, {long, "a"}, {"rack", ""}, {"rack", " a"}, {"rack", "a "}, {"rack", "a,b"},
		{"rack", long},
	} {
		require.ErrorAs(t, put(pair[0], pair[1]), new(*types.InvalidParameterException), "%.20q", pair)
	}
	require.NoError(t, put(`com.example/rack_1\a-b`, `a b:c@d/e\f`))
	require.NoError(t, put("rack", "1"))
	for _, name := range strings.Split("a b c d e f g h", " ") {
		require.NoError(t, put(name, "1"))
	}
	require.ErrorAs(t, put("i", "1"), new(*types.AttributeLimitExceededException), "ECS allows 10 custom attributes")
	require.NoError(t, put("h", "2"), "of an attribute that is there")
}
