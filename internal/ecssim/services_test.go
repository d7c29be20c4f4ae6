package ecssim

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// daemonOn returns the instances with a live task of the service "agent", in their order.
func (w *fixture) daemonOn() []string {
	var all []string
	for _, i := range w.Instances("default") {
		if slices.ContainsFunc(w.Tasks("default"), func(t Task) bool {
			return t.Live() && t.Group == "service:agent" && t.InstanceARN == i.ARN
		}) {
			all = append(all, i.ARN)
		}
	}
	return all
}

func (w *fixture) describeService() types.Service {
	w.t.Helper()
	out, err := w.ecs.DescribeServices(w.ctx, &ecs.DescribeServicesInput{Services: []string{"agent"}})
	require.NoError(w.t, err)
	require.Len(w.t, out.Services, 1)
	return out.Services[0]
}

// constrain replaces the placement constraints of the service "agent".
func (w *fixture) constrain(expressions ...string) error {
	constraints := []types.PlacementConstraint{}
	for _, e := range expressions {
		constraints = append(constraints, types.PlacementConstraint{
			Type: types.PlacementConstraintTypeMemberOf, Expression: &e,
		})
	}
	_, err := w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{
		Service: aws.String("agent"), PlacementConstraints: constraints,
	})
	return err
}

// daemonService starts the DAEMON service "agent" on two instances and returns these once each has its task.
func (w *fixture) daemonService() []string {
	w.t.Helper()
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances("default", 2)
	_, err := w.ecs.CreateService(w.ctx, &ecs.CreateServiceInput{
		ServiceName: aws.String("agent"), TaskDefinition: aws.String("agent"),
		SchedulingStrategy: types.SchedulingStrategyDaemon,
	})
	require.NoError(w.t, err)
	w.eventually(func() bool { return len(w.daemonOn()) == 2 }, "a task on every instance")
	return instances
}

func TestDaemonService_HasOneTaskOnEachActiveInstance(t *testing.T) {
	w := newFixture(t, Config{})
	w.daemonService()
	task := w.Tasks("default")[0]
	assert.Regexp(t, `^ecs-svc/\d{19}$`, task.StartedBy)
	joined := w.AddInstances("default", 1)[0]
	w.eventually(func() bool { return slices.Contains(w.daemonOn(), joined) }, "a task on the new instance")
	require.NoError(t, w.KillTask(task.ARN, 1))
	w.eventually(func() bool { return len(w.daemonOn()) == 3 }, "the killed task is replaced")

	service := w.describeService()
	assert.Equal(t, types.SchedulingStrategyDaemon, service.SchedulingStrategy)
	assert.Equal(t, "arn:aws:ecs:us-east-1:123456789012:service/default/agent", *service.ServiceArn)
	assert.Equal(t, []int32{3, 3, 0}, []int32{service.DesiredCount, service.RunningCount, service.PendingCount})
	assert.Equal(t, task.StartedBy, *service.Deployments[0].Id)
	listed, err := w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{ServiceName: aws.String("agent")})
	require.NoError(t, err)
	assert.Len(t, listed.TaskArns, 3)
	assert.Empty(t, w.Counters().Violations)
}

// ECS stops tasks on instances that no longer meet the constraints, without a new deployment.
func TestDaemonService_FollowsPlacementConstraints(t *testing.T) {
	w := newFixture(t, Config{})
	instances := w.daemonService()
	deployment := *w.describeService().Deployments[0].Id
	attribute := []types.Attribute{{Name: aws.String("blox.moved"), TargetId: &instances[0]}}

	require.NoError(t, w.constrain("attribute:blox.moved not_exists"))
	_, err := w.ecs.PutAttributes(w.ctx, &ecs.PutAttributesInput{Attributes: attribute})
	require.NoError(t, err)
	w.eventually(func() bool { return slices.Equal(w.daemonOn(), instances[1:]) }, "the task has stopped")
	stopped := w.Tasks("default")[0]
	assert.Equal(t, "ServiceSchedulerInitiated", stopped.StopCode)
	assert.Equal(t, int32(1), w.describeService().DesiredCount)

	_, err = w.ecs.DeleteAttributes(w.ctx, &ecs.DeleteAttributesInput{Attributes: attribute})
	require.NoError(t, err)
	w.eventually(func() bool { return len(w.daemonOn()) == 2 }, "the service is back on the instance")
	require.NoError(t, w.constrain("agentConnected == false"))
	w.eventually(func() bool { return len(w.daemonOn()) == 0 }, "no instance meets the constraint")
	require.NoError(t, w.constrain())
	w.eventually(func() bool { return len(w.daemonOn()) == 2 }, "an empty list removes the constraints")
	assert.Equal(t, deployment, *w.describeService().Deployments[0].Id)
	require.ErrorAs(t, w.constrain("attribute:stack =="), new(*types.InvalidParameterException))
}

// A DAEMON service's tasks are the last to stop on a DRAINING instance.
func TestDaemonService_StopsLastWhenAnInstanceDrains(t *testing.T) {
	w := newFixture(t, Config{})
	instances := w.daemonService()
	w.RegisterTaskDefinition("app")
	app := w.start("app", "d1", instances[0])[0]
	for _, i := range instances {
		require.NoError(t, w.DrainInstance(i))
	}
	w.eventually(func() bool { return slices.Equal(w.daemonOn(), instances[:1]) },
		"the daemon on the instance without other tasks has stopped")
	require.NoError(t, w.KillTask(app, 0))
	w.eventually(func() bool { return len(w.daemonOn()) == 0 }, "the other daemon stops after the app")
}

func TestDaemonService_UpdateAndDelete(t *testing.T) {
	w := newFixture(t, Config{StopDelay: 50 * time.Millisecond})
	w.daemonService()
	second := w.RegisterTaskDefinition("agent")
	_, err := w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{
		Service: aws.String("agent"), TaskDefinition: aws.String("agent:2"),
	})
	require.NoError(t, err)
	w.eventually(func() bool {
		running := 0
		for _, task := range w.Tasks("default") {
			if task.LastStatus == "RUNNING" && task.TaskDefinitionARN == second {
				running++
			}
		}
		return running == 2
	}, "the new revision has replaced the old one")
	assert.Equal(t, map[string]int{"agent": 1}, w.Counters().PeakByFamily, "the old task stops before the new one starts")

	remove := &ecs.DeleteServiceInput{Service: aws.String("agent")}
	deleted, err := w.ecs.DeleteService(w.ctx, remove)
	require.NoError(t, err)
	assert.Equal(t, "DRAINING", *deleted.Service.Status)
	list, err := w.ecs.ListServices(w.ctx, &ecs.ListServicesInput{})
	require.NoError(t, err)
	assert.Empty(t, list.ServiceArns)
	w.eventually(func() bool { return *w.describeService().Status == "INACTIVE" }, "its tasks have stopped")
	assert.Empty(t, w.daemonOn())
	_, err = w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Service: aws.String("agent")})
	require.ErrorAs(t, err, new(*types.ServiceNotActiveException))
	_, err = w.ecs.DeleteService(w.ctx, &ecs.DeleteServiceInput{Service: aws.String("absent")})
	require.ErrorAs(t, err, new(*types.ServiceNotFoundException))
	assert.NotEmpty(t, w.CreateDaemonService("default", "agent", "agent"), "the name is free again")
}

func TestServices_RejectWhatECSRejects(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	const daemon = types.SchedulingStrategyDaemon
	w.RegisterTaskDefinition("net", WithNetworkMode("awsvpc"))
	for name, in := range map[string]ecs.CreateServiceInput{
		"a bad name":                  {ServiceName: aws.String("a/b"), TaskDefinition: aws.String("agent")},
		"no task definition":          {ServiceName: aws.String("a")},
		"an unknown task definition":  {ServiceName: aws.String("a"), TaskDefinition: aws.String("absent")},
		"awsvpc without a network":    {ServiceName: aws.String("a"), TaskDefinition: aws.String("net")},
		"DAEMON with a desired count": {SchedulingStrategy: daemon, DesiredCount: aws.Int32(1)},
		"DAEMON on Fargate":           {SchedulingStrategy: daemon, LaunchType: "FARGATE"},
		"DAEMON with an external controller": {
			SchedulingStrategy: daemon, DeploymentController: &types.DeploymentController{Type: "EXTERNAL"},
		},
		"an unknown constraint": {PlacementConstraints: []types.PlacementConstraint{{Type: "nearby"}}},
		"a malformed expression": {PlacementConstraints: []types.PlacementConstraint{{
			Type: types.PlacementConstraintTypeMemberOf, Expression: aws.String("attribute:"),
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			if in.ServiceName == nil {
				in.ServiceName, in.TaskDefinition = aws.String("a"), aws.String("agent")
			}
			_, err := w.ecs.CreateService(w.ctx, &in)
			require.Error(t, err)
		})
	}
	replica := &ecs.CreateServiceInput{
		ServiceName: aws.String("web"), TaskDefinition: aws.String("agent"), DesiredCount: aws.Int32(2),
	}
	_, err := w.ecs.CreateService(w.ctx, replica)
	require.NoError(t, err)
	_, err = w.ecs.CreateService(w.ctx, replica)
	require.ErrorContains(t, err, "idempotent")
	_, err = w.ecs.DeleteService(w.ctx, &ecs.DeleteServiceInput{Service: aws.String("web")})
	require.ErrorContains(t, err, "scaled above 0")
	_, err = w.ecs.DeleteCluster(w.ctx, &ecs.DeleteClusterInput{Cluster: aws.String("default")})
	require.ErrorAs(t, err, new(*types.ClusterContainsServicesException))
	out, err := w.ecs.DescribeServices(w.ctx, &ecs.DescribeServicesInput{Services: []string{"web", "absent"}})
	require.NoError(t, err)
	assert.Equal(t, types.SchedulingStrategyReplica, out.Services[0].SchedulingStrategy)
	assert.Equal(t, "MISSING", *out.Failures[0].Reason)
}

func TestDaemonService_IsAControl(t *testing.T) {
	w := newFixture(t, Config{})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	w.RegisterTaskDefinition("agent")
	w.AddInstances("default", 1)
	var created map[string]string
	path := "/_sim/daemon-services?cluster=default&taskDefinition=agent&name="
	require.Equal(t, http.StatusOK, w.curl("POST", path+"agent", "", &created))
	assert.Equal(t, map[string]string{"service": "arn:aws:ecs:us-east-1:123456789012:service/default/agent"}, created)
	w.eventually(func() bool { return len(w.daemonOn()) == 1 }, "its task runs")
	assert.Equal(t, http.StatusBadRequest, w.curl("POST", path+"a/b", "", nil))
}
