package ecssim

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each failure has its reason, and the other instances get their tasks.
func TestStartTask_PartialSuccess(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent", WithHostPort(8125, "udp"), WithHostPort(9000, "tcp"))
	instances := w.AddInstances("default", 4)
	w.start(w.Sim.RegisterTaskDefinition("metrics", WithHostPort(9000, "tcp")), "m", instances[0])
	w.start(w.Sim.RegisterTaskDefinition("cpu", WithCPU(2000)), "c", instances[1])
	w.start(w.Sim.RegisterTaskDefinition("memory", WithMemory(7500)), "c", instances[2])
	require.NoError(t, w.RemoveInstance(instances[3]))
	fine := w.AddInstances("default", 1)[0]
	elsewhere := w.AddInstances("prod", 1)[0]

	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("agent"), ContainerInstances: append(instances, "nope", elsewhere, fine, fine),
		StartedBy: aws.String("d1"),
	})
	require.NoError(t, err)
	require.Len(t, out.Tasks, 1)
	assert.Equal(t, fine, *out.Tasks[0].ContainerInstanceArn)
	reasons := map[string]string{}
	for _, f := range out.Failures {
		reasons[*f.Arn] = *f.Reason
	}
	assert.Equal(t, map[string]string{
		instances[0]: "RESOURCE:PORTS", instances[1]: "RESOURCE:CPU", instances[2]: "RESOURCE:MEMORY",
		instances[3]: "INACTIVE", fine: "RESOURCE:PORTS",
		"arn:aws:ecs:us-east-1:123456789012:container-instance/default/nope": "MISSING", elsewhere: "MISSING",
	}, reasons)

	task := *out.Tasks[0].TaskArn
	described, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Tasks: []string{task}})
	require.NoError(t, err)
	bindings := described.Tasks[0].Containers[0].NetworkBindings
	require.Len(t, bindings, 2)
	assert.Equal(t, int32(8125), *bindings[0].HostPort)
	assert.Equal(t, types.TransportProtocolUdp, bindings[0].Protocol)
	require.NoError(t, w.KillTask(task, 1))
	w.start("agent", "d1", fine) // the ports are free again
}

func TestStartTask_RequiresAttributes(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent", WithLogDriver("gelf"))
	instance := w.AddInstances("default", 1)
	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("agent"), ContainerInstances: instance,
	})
	require.NoError(t, err)
	assert.Equal(t, "ATTRIBUTE", *out.Failures[0].Reason)
}

func TestStartTask_RejectsInvalidInput(t *testing.T) {
	w := newFixture(t, Config{ShortARNs: true})
	w.RegisterTaskDefinition("agent")
	w.RegisterTaskDefinition("vpc", WithNetworkMode("awsvpc"))
	inactive := w.Sim.RegisterTaskDefinition("inactive")
	_, err := w.ecs.DeregisterTaskDefinition(w.ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &inactive})
	require.NoError(t, err)
	instances := w.AddInstances("default", 11)
	vpc := &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}}
	named := func(name, value string) *types.TaskOverride {
		return &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: &name, Command: []string{value}}}}
	}
	start := func(change func(*ecs.StartTaskInput)) error {
		in := &ecs.StartTaskInput{TaskDefinition: aws.String("agent"), ContainerInstances: instances[:1]}
		change(in)
		_, err := w.ecs.StartTask(w.ctx, in)
		return err
	}
	for name, change := range map[string]func(*ecs.StartTaskInput){
		"no instances":     func(in *ecs.StartTaskInput) { in.ContainerInstances = []string{} },
		"eleven instances": func(in *ecs.StartTaskInput) { in.ContainerInstances = instances },
		"startedBy of 37": func(in *ecs.StartTaskInput) {
			in.StartedBy = aws.String(strings.Repeat("a", 37))
		},
		"startedBy with a space":       func(in *ecs.StartTaskInput) { in.StartedBy = aws.String("a b") },
		"awsvpc without a network":     func(in *ecs.StartTaskInput) { in.TaskDefinition = aws.String("vpc") },
		"a network without awsvpc":     func(in *ecs.StartTaskInput) { in.NetworkConfiguration = vpc },
		"an override for no container": func(in *ecs.StartTaskInput) { in.Overrides = named("nope", "") },
		"overrides that are too long": func(in *ecs.StartTaskInput) {
			in.Overrides = named("agent", strings.Repeat("a", 8192))
		},
		"an override of CPU by a word": func(in *ecs.StartTaskInput) {
			in.Overrides = &types.TaskOverride{Cpu: aws.String("much")}
		},
		"tags on tasks that have short ARNs": func(in *ecs.StartTaskInput) { in.Tags = []types.Tag{{Key: aws.String("k")}} },
	} {
		assert.ErrorAs(t, start(change), new(*types.InvalidParameterException), name)
	}
	for _, ref := range []string{"nope", inactive, "inactive", ""} {
		err := start(func(in *ecs.StartTaskInput) { in.TaskDefinition = &ref })
		assert.ErrorAs(t, err, new(*types.ClientException), "%q", ref)
	}
	assert.ErrorAs(
		t, start(func(in *ecs.StartTaskInput) { in.Cluster = aws.String("nope") }), new(*types.ClusterNotFoundException),
	)
	assert.Empty(t, w.Tasks(""), "nothing was started")
	assert.NoError(t, start(func(in *ecs.StartTaskInput) { in.StartedBy = aws.String(strings.Repeat("a", 36)) }))
}

func TestStartTask_KeepsItsInput(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("vpc", WithNetworkMode("awsvpc"))
	instance := w.AddInstances("default", 1)
	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("vpc"), ContainerInstances: instance, Group: aws.String("daemons"),
		EnableExecuteCommand: true,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
			Subnets: []string{"subnet-1"},
		}},
		Overrides: &types.TaskOverride{
			Memory: aws.String("512"),
			ContainerOverrides: []types.ContainerOverride{{Name: aws.String("vpc"), Environment: []types.KeyValuePair{{
				Name: aws.String("A"), Value: aws.String("1"),
			}}}},
		},
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("infra")}},
	})
	require.NoError(t, err)
	arn := *out.Tasks[0].TaskArn
	assert.Equal(t, "PROVISIONING", *out.Tasks[0].LastStatus)
	described, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{
		Tasks: []string{arn}, Include: []types.TaskField{types.TaskFieldTags},
	})
	require.NoError(t, err)
	task := described.Tasks[0]
	assert.Equal(t, "RUNNING", *task.LastStatus)
	assert.Equal(t, "daemons", *task.Group)
	assert.True(t, task.EnableExecuteCommand)
	assert.Equal(t, "512", *task.Memory)
	assert.Equal(t, "1", *task.Overrides.ContainerOverrides[0].Environment[0].Value)
	assert.Equal(t, "infra", *task.Tags[0].Value)
	assert.Equal(t, "ATTACHED", *task.Attachments[0].Status)
	assert.NotEmpty(t, *task.Containers[0].NetworkInterfaces[0].PrivateIpv4Address)
	assert.WithinDuration(t, time.Now(), *task.StartedAt, time.Minute)
	require.NoError(t, w.KillTask(arn, 0))
	assert.Equal(
		t,
		[]string{
			"1 PROVISIONING/RUNNING", "2 PENDING/RUNNING", "3 ACTIVATING/RUNNING", "4 RUNNING/RUNNING",
			"5 DEPROVISIONING/STOPPED", "6 STOPPED/STOPPED",
		},
		statusChanges(w.events()),
	)
}

var subnet1 = &types.NetworkConfiguration{
	AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}},
}

func TestRunTask_Spreads(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("web")
	run := func(cluster string, count int32, launch types.LaunchType) *ecs.RunTaskOutput {
		out, err := w.ecs.RunTask(w.ctx, &ecs.RunTaskInput{
			Cluster: &cluster, TaskDefinition: aws.String("web"), Count: &count, LaunchType: launch,
		})
		require.NoError(t, err)
		return out
	}
	assert.Len(t, run("default", 2, "").Failures, 2, "no instances")
	w.AddInstances("default", 3)
	assert.Len(t, run("default", 3, "").Tasks, 3)
	assert.Equal(t, 1, w.Counters().PeakByFamily["web"])
	w.RegisterTaskDefinition("fargate", WithNetworkMode("awsvpc"))
	out, err := w.ecs.RunTask(w.ctx, &ecs.RunTaskInput{
		TaskDefinition: aws.String("fargate"), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: subnet1,
	})
	require.NoError(t, err)
	assert.Nil(t, out.Tasks[0].ContainerInstanceArn)
	_, err = w.ecs.RunTask(w.ctx, &ecs.RunTaskInput{TaskDefinition: aws.String("web"), Count: aws.Int32(11)})
	assert.ErrorAs(t, err, new(*types.InvalidParameterException))
}

func TestListTasks_Filters(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent", WithCPU(1), WithMemory(4))
	w.RegisterTaskDefinition("other", WithCPU(1), WithMemory(4))
	instances := w.AddInstances("default", 10)
	var d1 []string
	for range 15 {
		d1 = append(d1, w.start("agent", "d1", instances...)...)
	}
	other := w.start("other", "d2", instances[0])
	fargate := w.StartFargateTask("default", "web")
	require.NoError(t, w.KillTask(d1[0], 1))

	list := func(in ecs.ListTasksInput) []string {
		var all []string
		pages := ecs.NewListTasksPaginator(w.ecs, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(w.ctx)
			require.NoError(t, err)
			all = append(all, page.TaskArns...)
		}
		return all
	}
	assert.Len(t, list(ecs.ListTasksInput{}), 151)
	assert.Equal(t, d1[1:], list(ecs.ListTasksInput{StartedBy: aws.String("d1")}), "in two pages")
	assert.Equal(t, d1[1:], list(ecs.ListTasksInput{StartedBy: aws.String("d1"), LaunchType: types.LaunchTypeEc2}))
	assert.Equal(t, d1[:1], list(ecs.ListTasksInput{DesiredStatus: types.DesiredStatusStopped}))
	assert.Equal(t, other, list(ecs.ListTasksInput{Family: aws.String("other")}))
	assert.Len(t, list(ecs.ListTasksInput{ContainerInstance: &instances[1], Family: aws.String("agent")}), 15)
	assert.Equal(t, []string{fargate}, list(ecs.ListTasksInput{LaunchType: types.LaunchTypeFargate}))
	assert.Empty(t, list(ecs.ListTasksInput{DesiredStatus: types.DesiredStatusPending}))

	by := aws.String("d1")
	for name, in := range map[string]ecs.ListTasksInput{
		"startedBy and an instance":       {StartedBy: by, ContainerInstance: &instances[0]},
		"startedBy and a family":          {StartedBy: by, Family: aws.String("agent")},
		"startedBy and a desired status":  {StartedBy: by, DesiredStatus: types.DesiredStatusRunning},
		"an unknown instance":             {ContainerInstance: aws.String("nope")},
		"a desired status that is not":    {DesiredStatus: "GONE"},
		"a page of none":                  {MaxResults: aws.Int32(0)},
		"a token that the list never had": {NextToken: aws.String("x")},
	} {
		_, err := w.ecs.ListTasks(w.ctx, &in)
		assert.ErrorAs(t, err, new(*types.InvalidParameterException), name)
	}
	_, err := w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{ServiceName: aws.String("web")})
	assert.ErrorAs(t, err, new(*types.ServiceNotFoundException))
}

func TestTasks_DescribeAndStop(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	task := w.start("agent", "d1", w.AddInstances("default", 1)...)[0]
	out, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Tasks: []string{task, "nope", task[len(task)-32:]}})
	require.NoError(t, err)
	assert.Len(t, out.Tasks, 2)
	require.Len(t, out.Failures, 1)
	assert.Equal(t, "MISSING", *out.Failures[0].Reason)
	for _, refs := range [][]string{{}, make([]string, 101)} {
		_, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Tasks: refs})
		assert.ErrorAs(t, err, new(*types.InvalidParameterException))
	}
	w.CreateCluster("prod")
	for cluster, ref := range map[string]string{"default": "nope", "prod": task} {
		_, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Cluster: &cluster, Task: &ref})
		rejected := new(types.InvalidParameterException)
		require.ErrorAs(t, err, &rejected)
		assert.Equal(t, "The referenced task was not found.", *rejected.Message)
	}
	require.NoError(t, w.KillTask(task, 137))
	w.events()
	again, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &task})
	require.NoError(t, err)
	assert.Equal(t, int32(137), *again.Task.Containers[0].ExitCode, "a STOPPED task does not change")
	assert.Equal(t, types.TaskStopCodeEssentialContainerExited, again.Task.StopCode)
	assert.Empty(t, w.events())
	assert.ErrorIs(t, w.KillTask(task, 0), errNotFound)
	assert.ErrorIs(t, w.KillTask("", 0), errNotFound)
}

func TestTasks_ShortARNs(t *testing.T) {
	w := newFixture(t, Config{ShortARNs: true, Region: "eu-west-1", Account: "210987654321", Partition: "aws-cn"})
	w.RegisterTaskDefinition("agent")
	instance := w.AddInstances("prod", 1)[0]
	assert.Regexp(t, `^arn:aws-cn:ecs:eu-west-1:210987654321:container-instance/[0-9a-f]{8}-[0-9a-f-]{27}$`, instance)
	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		Cluster: aws.String("prod"), TaskDefinition: aws.String("agent"), ContainerInstances: []string{instance},
	})
	require.NoError(t, err)
	assert.Regexp(t, `^arn:aws-cn:ecs:eu-west-1:210987654321:task/[0-9a-f]{8}-[0-9a-f-]{27}$`, *out.Tasks[0].TaskArn)
	assert.Regexp(t, `:container/[0-9a-f]{8}-[0-9a-f-]{27}$`, *out.Tasks[0].Containers[0].ContainerArn)
	described, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{
		Cluster: aws.String("prod"), Tasks: []string{*out.Tasks[0].TaskArn},
	})
	require.NoError(t, err)
	assert.Equal(t, "RUNNING", *described.Tasks[0].LastStatus)
}
