package ecssim

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInstances_ListAndDescribe(t *testing.T) {
	w := newFixture(t, Config{})
	instances := w.AddInstances("prod", 120)
	require.NoError(t, w.DrainInstance(instances[0]))
	require.NoError(t, w.RemoveInstance(instances[1]))
	list := func(in ecs.ListContainerInstancesInput) []string {
		in.Cluster = aws.String("prod")
		var all []string
		pages := ecs.NewListContainerInstancesPaginator(w.ecs, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(w.ctx)
			require.NoError(t, err)
			all = append(all, page.ContainerInstanceArns...)
		}
		return all
	}
	assert.Len(t, list(ecs.ListContainerInstancesInput{}), 119, "all but the INACTIVE one")
	assert.Len(t, list(ecs.ListContainerInstancesInput{Status: types.ContainerInstanceStatusActive}), 118)
	assert.Equal(t, instances[:1], list(ecs.ListContainerInstancesInput{Status: types.ContainerInstanceStatusDraining}))
	for _, in := range []ecs.ListContainerInstancesInput{{Filter: aws.String("agentConnected ==")}, {Status: "GONE"}} {
		_, err := w.ecs.ListContainerInstances(w.ctx, &in)
		assert.ErrorAs(t, err, new(*types.InvalidParameterException))
	}

	id := instances[2][len(instances[2])-32:]
	out, err := w.ecs.DescribeContainerInstances(w.ctx, &ecs.DescribeContainerInstancesInput{
		Cluster: aws.String("prod"), ContainerInstances: []string{instances[0], instances[1], id, "nope"},
	})
	require.NoError(t, err)
	require.Len(t, out.ContainerInstances, 3)
	assert.Equal(t, "DRAINING", *out.ContainerInstances[0].Status)
	assert.Equal(t, "INACTIVE", *out.ContainerInstances[1].Status)
	one := out.ContainerInstances[2]
	assert.Equal(t, instances[2], *one.ContainerInstanceArn)
	assert.Equal(t, int64(1), one.Version)
	assert.Regexp(t, "^i-[0-9a-f]{17}$", *one.Ec2InstanceId)
	assert.Equal(t, int32(7680), one.RegisteredResources[1].IntegerValue)
	assert.Equal(t, []string{"22", "2375", "2376", "51678", "51679"}, one.RemainingResources[2].StringSetValue)
	require.Len(t, out.Failures, 1)
	assert.Equal(t, "MISSING", *out.Failures[0].Reason)
	assert.Equal(t, "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/nope", *out.Failures[0].Arn)

	out, err = w.ecs.DescribeContainerInstances(w.ctx, &ecs.DescribeContainerInstancesInput{
		ContainerInstances: instances[:1],
	})
	require.NoError(t, err)
	assert.Len(t, out.Failures, 1, "an instance of another cluster is MISSING")
	for _, refs := range [][]string{{}, make([]string, 101)} {
		_, err = w.ecs.DescribeContainerInstances(w.ctx, &ecs.DescribeContainerInstancesInput{ContainerInstances: refs})
		assert.ErrorAs(t, err, new(*types.InvalidParameterException))
	}
}

func TestInstances_Drain(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances("default", 2)
	task := w.start("agent", "d1", instances[0])[0]
	w.events()
	update := func(
		status types.ContainerInstanceStatus, refs ...string,
	) (*ecs.UpdateContainerInstancesStateOutput, error) {
		return w.ecs.UpdateContainerInstancesState(w.ctx, &ecs.UpdateContainerInstancesStateInput{
			ContainerInstances: refs, Status: status,
		})
	}
	out, err := update(types.ContainerInstanceStatusDraining, instances[0], "nope")
	require.NoError(t, err)
	assert.Len(t, out.ContainerInstances, 1)
	assert.Len(t, out.Failures, 1)
	events := w.events()
	require.Len(t, events, 1)
	assert.Equal(t, "DRAINING", events[0].Detail["status"])
	assert.EqualValues(t, 3, events[0].Detail["version"])
	assert.Equal(t, "RUNNING", w.task(task).DesiredStatus, "draining does not stop tasks of StartTask")

	started, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("agent"), ContainerInstances: instances,
	})
	require.NoError(t, err)
	assert.Len(t, started.Tasks, 1)
	require.Len(t, started.Failures, 1)
	assert.Equal(t, "INACTIVE", *started.Failures[0].Reason)
	assert.Equal(t, 1, w.Counters().StartsOnDraining)

	_, err = update(types.ContainerInstanceStatusActive, instances[0])
	require.NoError(t, err)
	assert.Equal(t, "ACTIVE", w.Instances("default")[0].Status)
	_, err = update("GONE", instances[0])
	assert.ErrorAs(t, err, new(*types.InvalidParameterException))
	_, err = update(types.ContainerInstanceStatusActive, make([]string, 11)...)
	assert.ErrorAs(t, err, new(*types.InvalidParameterException))
	require.NoError(t, w.RemoveInstance(instances[1]))
	out, err = update(types.ContainerInstanceStatusActive, instances[1])
	require.NoError(t, err)
	assert.Equal(t, "INACTIVE", *out.Failures[0].Reason)
}

func TestInstances_RegisterAndDeregister(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent", WithMemory(1024))
	registered, err := w.ecs.RegisterContainerInstance(w.ctx, &ecs.RegisterContainerInstanceInput{
		InstanceIdentityDocument: aws.String(`{"instanceId":"i-0123"}`),
		Attributes:               []types.Attribute{{Name: aws.String("stack"), Value: aws.String("prod")}},
		TotalResources: []types.Resource{
			{Name: aws.String("CPU"), Type: aws.String("INTEGER"), IntegerValue: 1024},
			{Name: aws.String("MEMORY"), Type: aws.String("INTEGER"), IntegerValue: 1024},
			{Name: aws.String("PORTS"), Type: aws.String("STRINGSET"), StringSetValue: []string{"22"}},
			{Name: aws.String("PORTS_UDP"), Type: aws.String("STRINGSET")},
		},
	})
	require.NoError(t, err)
	instance := *registered.ContainerInstance.ContainerInstanceArn
	assert.Equal(t, "i-0123", *registered.ContainerInstance.Ec2InstanceId)
	assert.Equal(t, "prod", w.Instances("")[0].Attributes["stack"])
	require.NoError(t, w.SetAgentConnected(instance, false))
	_, err = w.ecs.RegisterContainerInstance(w.ctx, &ecs.RegisterContainerInstanceInput{ContainerInstanceArn: &instance})
	require.NoError(t, err)
	assert.True(t, w.Instances("")[0].AgentConnected, "a registered agent is connected")

	task := w.start("agent", "d1", instance)[0]
	deregister := func(force bool) error {
		_, err := w.ecs.DeregisterContainerInstance(w.ctx, &ecs.DeregisterContainerInstanceInput{
			ContainerInstance: &instance, Force: &force,
		})
		return err
	}
	assert.ErrorAs(t, deregister(false), new(*types.InvalidParameterException), "a task runs on the instance")
	w.events()
	require.NoError(t, deregister(true))
	assert.Equal(t, "STOPPED", w.task(task).LastStatus)
	events := w.events()
	assert.Equal(t, "INACTIVE", events[0].Detail["status"])
	assert.Equal(t, []string{"4 DEPROVISIONING/STOPPED", "5 STOPPED/STOPPED"}, statusChanges(events))
	assert.ErrorAs(t, deregister(true), new(*types.InvalidParameterException), "the instance is already deregistered")

	for name, in := range map[string]*ecs.RegisterContainerInstanceInput{
		"a document that is no JSON": {InstanceIdentityDocument: aws.String("{")},
		"an ARN that left":           {ContainerInstanceArn: &instance},
		"a port that is no number": {TotalResources: []types.Resource{{
			Name: aws.String("PORTS"), StringSetValue: []string{"http"},
		}}},
	} {
		_, err := w.ecs.RegisterContainerInstance(w.ctx, in)
		assert.ErrorAs(t, err, new(*types.ClientException), name)
	}
	for name, change := range map[string]func(string) error{
		"remove": w.RemoveInstance, "drain": w.DrainInstance, "activate": w.ActivateInstance,
		"connect": func(arn string) error { return w.SetAgentConnected(arn, true) },
	} {
		assert.ErrorIs(t, change(instance), errNotFound, name)
		assert.ErrorIs(t, change(""), errNotFound, name)
	}
}

func TestAttributes_SendNoEvent(t *testing.T) {
	w := newFixture(t, Config{})
	instance := w.AddInstances("default", 1)[0]
	w.events()
	entry := func(name, value, target string) types.Attribute {
		return types.Attribute{Name: &name, Value: &value, TargetId: &target, TargetType: types.TargetTypeContainerInstance}
	}
	put := func(all ...types.Attribute) error {
		_, err := w.ecs.PutAttributes(w.ctx, &ecs.PutAttributesInput{Attributes: all})
		return err
	}
	require.NoError(t, put(entry("stack", "test", instance), entry("blox.ready", "true", instance[len(instance)-32:])))
	require.NoError(t, put(entry("stack", "prod", instance)))
	assert.Equal(t, "prod", w.Instances("")[0].Attributes["stack"])
	assert.EqualValues(t, 1, w.Instances("")[0].Version, "no new version")
	assert.Empty(t, w.events())

	list, err := w.ecs.ListAttributes(w.ctx, &ecs.ListAttributesInput{
		TargetType: types.TargetTypeContainerInstance, AttributeName: aws.String("stack"),
	})
	require.NoError(t, err)
	require.Len(t, list.Attributes, 1)
	assert.Equal(t, "prod", *list.Attributes[0].Value)
	assert.Equal(t, instance, *list.Attributes[0].TargetId)
	_, err = w.ecs.ListAttributes(w.ctx, &ecs.ListAttributesInput{TargetType: "moon"})
	assert.ErrorAs(t, err, new(*types.InvalidParameterException))

	_, err = w.ecs.DeleteAttributes(w.ctx, &ecs.DeleteAttributesInput{Attributes: []types.Attribute{{
		Name: aws.String("stack"), TargetId: &instance,
	}}})
	require.NoError(t, err)
	assert.NotContains(t, w.Instances("")[0].Attributes, "stack")
	assert.Empty(t, w.events())

	assert.ErrorAs(t, put(entry("a", "b", "nope")), new(*types.TargetNotFoundException))
	assert.ErrorAs(t, put(entry("", "b", instance)), new(*types.InvalidParameterException))
	assert.ErrorAs(
		t, put(slices.Repeat([]types.Attribute{entry("a", "b", instance)}, 11)...), new(*types.InvalidParameterException),
	)
}

func TestInstances_DisconnectedAgentReportsLater(t *testing.T) {
	w := newFixture(t, Config{PendingDelay: time.Millisecond})
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances("default", 2)
	running := w.start("agent", "d1", instances[0])[0]
	w.eventually(func() bool { return w.task(running).LastStatus == "RUNNING" }, "the task runs")
	require.NoError(t, w.SetAgentConnected(instances[0], false))

	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("agent"), ContainerInstances: instances[:1],
	})
	require.NoError(t, err)
	assert.Equal(t, "AGENT", *out.Failures[0].Reason)
	assert.Equal(t, 1, w.Counters().StartsOnDisconnected)
	_, err = w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &running})
	require.NoError(t, err)
	assert.Equal(t, "STOPPED", w.task(running).DesiredStatus)
	assert.Equal(t, "RUNNING", w.task(running).LastStatus, "the disconnected agent reports nothing")
	require.NoError(t, w.SetAgentConnected(instances[0], true))
	assert.Equal(t, "STOPPED", w.task(running).LastStatus)
}

// A PENDING task that is stopped while its agent is disconnected stops when the agent reconnects.
func TestInstances_PendingTaskStopsWhileDisconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{PendingDelay: time.Minute, StopDelay: time.Second})
		defer s.Close()
		s.RegisterTaskDefinition("agent")
		instance := s.AddInstances("default", 1)[0]
		s.lock()
		task := s.start(launch{
			cluster: s.clusters["default"], instance: s.findInstance(instance), definition: s.definition("agent"),
		})
		s.unlock()
		require.NoError(t, s.SetAgentConnected(instance, false))
		s.lock()
		s.stop(task, "UserInitiated", "")
		s.unlock()
		time.Sleep(time.Hour / 2)
		assert.Equal(t, "PENDING", s.Tasks("")[0].LastStatus)
		require.NoError(t, s.SetAgentConnected(instance, true))
		time.Sleep(time.Minute)
		got := s.Tasks("")[0]
		assert.Equal(t, "STOPPED", got.LastStatus)
		assert.Nil(t, got.ExitCode, "it never ran")
	})
}

func TestRetention_RemovesStoppedTasksAndInactiveInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		defer s.Close()
		s.StartFargateTask("default", "web")
		instance := s.AddInstances("default", 1)[0]
		require.NoError(t, s.KillTask(s.Tasks("")[0].ARN, 3))
		require.NoError(t, s.RemoveInstance(instance))
		time.Sleep(time.Hour - time.Second)
		assert.Len(t, s.Tasks(""), 1)
		assert.Len(t, s.Instances(""), 1)
		time.Sleep(2 * time.Second)
		assert.Empty(t, s.Tasks(""))
		assert.Empty(t, s.Instances(""))
	})
}
