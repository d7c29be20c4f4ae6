package ecssim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func memberOf(expression string) []types.PlacementConstraint {
	return []types.PlacementConstraint{{Type: types.PlacementConstraintTypeMemberOf, Expression: &expression}}
}

func TestRunTask_PlacesByExpression(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances("default", 3)
	external := w.AddExternalInstances("default", 1)[0]
	all := w.Instances("")
	run := func(in ecs.RunTaskInput) *ecs.RunTaskOutput {
		t.Helper()
		in.TaskDefinition = aws.String("agent")
		out, err := w.ecs.RunTask(w.ctx, &in)
		require.NoError(t, err)
		return out
	}
	reason := func(out *ecs.RunTaskOutput) string {
		t.Helper()
		require.Empty(t, out.Tasks)
		require.Len(t, out.Failures, 1)
		return *out.Failures[0].Reason
	}
	on := func(n int) ecs.RunTaskInput {
		return ecs.RunTaskInput{PlacementConstraints: memberOf("ec2InstanceId == " + all[n].EC2InstanceID)}
	}
	for range 2 { // the second goes there although others have fewer tasks
		out := run(on(1))
		require.Len(t, out.Tasks, 1)
		assert.Equal(t, instances[1], *out.Tasks[0].ContainerInstanceArn)
		assert.Equal(t, types.LaunchTypeEc2, out.Tasks[0].LaunchType)
	}
	const unsatisfied = "MemberOf placement constraint unsatisfied."
	assert.Equal(t, unsatisfied, reason(run(ecs.RunTaskInput{PlacementConstraints: memberOf("ec2InstanceId == i-0")})))
	assert.Equal(t, unsatisfied, reason(run(on(3))), "an external instance is no EC2 instance")
	in := on(3)
	in.LaunchType = types.LaunchTypeExternal
	out := run(in)
	require.Len(t, out.Tasks, 1)
	assert.Equal(t, external, *out.Tasks[0].ContainerInstanceArn)
	require.NoError(t, w.DrainInstance(instances[0]))
	assert.Equal(t, unsatisfied, reason(run(on(0))), "ECS places no task on a DRAINING instance")
	require.NoError(t, w.SetAgentConnected(instances[2], false))
	assert.Equal(t, "AGENT", reason(run(on(2))))
	in = on(1)
	in.Overrides = &types.TaskOverride{Memory: aws.String("100000")}
	assert.Equal(t, "RESOURCE:MEMORY", reason(run(in)))
	distinct := run(ecs.RunTaskInput{Count: aws.Int32(2),
		PlacementConstraints: []types.PlacementConstraint{{Type: types.PlacementConstraintTypeDistinctInstance}}})
	assert.Len(t, distinct.Tasks, 1)
	assert.Len(t, distinct.Failures, 1, "only one instance can run tasks")
	assert.Zero(t, w.Counters().StartsOnDraining)
}

func TestRunTask_RefusesWhatCannotBePlaced(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	spot := []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT")}}
	for name, in := range map[string]ecs.RunTaskInput{
		"a strategy of another cluster":   {CapacityProviderStrategy: spot},
		"a launch type and a strategy":    {LaunchType: types.LaunchTypeEc2, CapacityProviderStrategy: spot},
		"managed instances by type":       {LaunchType: types.LaunchTypeManagedInstances},
		"a platform version":              {PlatformVersion: aws.String("1.4.0")},
		"an invalid expression":           {PlacementConstraints: memberOf("ec2InstanceId =")},
		"binpack by nothing":              {PlacementStrategy: []types.PlacementStrategy{{Type: "binpack"}}},
		"a token with spaces":             {ClientToken: aws.String("a b")},
		"the network mode bridge":         {LaunchType: types.LaunchTypeFargate},
		"more than ten constraints":       {PlacementConstraints: make([]types.PlacementConstraint, 11)},
		"an unknown kind of a constraint": {PlacementConstraints: []types.PlacementConstraint{{Type: "near"}}},
	} {
		in.TaskDefinition = aws.String("agent")
		_, err := w.ecs.RunTask(w.ctx, &in)
		assert.Error(t, err, name)
	}
	assert.Empty(t, w.Tasks(""))
}

func TestRunTask_StartsOncePerClientToken(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	w.CreateCluster("other")
	w.AddInstances("default", 1)
	w.AddInstances("other", 1)
	run := func(cluster, token, group string) (*ecs.RunTaskOutput, error) {
		return w.ecs.RunTask(w.ctx, &ecs.RunTaskInput{
			TaskDefinition: aws.String("agent"), Cluster: &cluster, ClientToken: &token, Group: &group,
		})
	}
	w.SetFaults(Faults{LostResponses: map[string]float64{"RunTask": 1}})
	_, err := run("default", "a", "g")
	require.Error(t, err, "the answer was lost")
	w.SetFaults(Faults{})
	require.Len(t, w.Tasks("default"), 1)
	again, err := run("default", "a", "g")
	require.NoError(t, err)
	require.Len(t, again.Tasks, 1)
	assert.Equal(t, w.Tasks("default")[0].ARN, *again.Tasks[0].TaskArn)
	assert.Len(t, w.Tasks("default"), 1, "the repetition starts nothing")

	_, err = run("default", "a", "another")
	var conflict *types.ConflictException
	require.ErrorAs(t, err, &conflict)
	assert.Equal(t, []string{w.Tasks("default")[0].ARN}, conflict.ResourceIds)
	_, err = run("other", "a", "another")
	require.NoError(t, err, "a token is of one cluster")
	assert.Len(t, w.Tasks("other"), 1)
}

func TestRunTask_ForgetsClientTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{StoppedTaskRetention: 100 * time.Hour})
		defer s.Close()
		s.RegisterTaskDefinition("agent")
		s.AddInstances("default", 1)
		client := ecs.NewFromConfig(inProcess(s))
		run := func(token string) string {
			out, err := client.RunTask(t.Context(), &ecs.RunTaskInput{
				TaskDefinition: aws.String("agent"), ClientToken: &token,
			})
			require.NoError(t, err)
			return *out.Tasks[0].TaskArn
		}
		long, short := run("long"), run("short")
		require.NoError(t, s.KillTask(short, 1))
		time.Sleep(time.Hour - time.Second)
		assert.Equal(t, short, run("short"))
		time.Sleep(2 * time.Second)
		assert.NotEqual(t, short, run("short"), "its task stopped an hour ago")
		assert.Equal(t, long, run("long"))
		time.Sleep(24 * time.Hour)
		assert.NotEqual(t, long, run("long"), "a token lives for 24 hours")
	})
}

func TestListContainerInstances_Filters(t *testing.T) {
	w := newFixture(t, Config{})
	instances := w.AddInstances("default", 2)
	out, err := w.ecs.ListContainerInstances(w.ctx, &ecs.ListContainerInstancesInput{
		Filter: aws.String("ec2InstanceId == " + w.Instances("")[1].EC2InstanceID),
	})
	require.NoError(t, err)
	assert.Equal(t, instances[1:], out.ContainerInstanceArns)
	_, err = w.ecs.ListContainerInstances(w.ctx, &ecs.ListContainerInstancesInput{Filter: aws.String("ec2InstanceId =")})
	require.ErrorAs(t, err, new(*types.InvalidParameterException))
}
