package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// takeoverSystem is a system with the DAEMON service "exporter" on four instances.
type takeoverSystem struct {
	*scheduler
	css       string
	instances []string
}

func newTakeover(t *testing.T, definition ...ecssim.DefinitionOption) *takeoverSystem {
	t.Helper()
	w := newSystemWith(t, ecssim.Config{PendingDelay: 20 * time.Millisecond, StopDelay: 20 * time.Millisecond})
	f := &takeoverSystem{instances: w.sim.AddInstances("prod", 4)}
	w.sim.RegisterTaskDefinition("exporter", append([]ecssim.DefinitionOption{ecssim.WithCPU(64)}, definition...)...)
	w.startDaemonService("exporter", "exporter", f.instances...)
	w.sim.ResetCounters()
	f.css, _ = w.startCSS("127.0.0.1:0")
	f.scheduler = w.startScheduler(f.css)
	f.awaitReady()
	return f
}

const takeoverBody = `{"name":"logs","fromService":{"cluster":"prod","service":"exporter"}}`

// begin starts the takeover by the environment "logs".
func (f *takeoverSystem) begin(body string) (e models.Environment) {
	f.t.Helper()
	f.mustSend("POST", "/v1/environments", body, &e)
	return e
}

func (f *takeoverSystem) awaitState(state string) {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool { return *f.getEnvironment("logs").Takeover.State == state }, "not %s", state)
}

// awaitMoved waits until every instance has the environment's task and no instance the service's, nor an attribute.
func (f *takeoverSystem) awaitMoved(instances ...string) {
	f.t.Helper()
	f.awaitState("COMPLETED")
	f.awaitOneTaskEach(f.newestDeployment(), instances...)
	assert.Empty(f.t, f.serviceTasks("exporter"))
	testenv.Eventually(f.t, func() bool { return len(f.instancesWithAttribute("blox.takeover.logs")) == 0 })
}

// awaitReturned waits until every instance has the service's task and none the environment's, nor an attribute.
func (f *takeoverSystem) awaitReturned() {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool {
		return len(f.serviceTasks("exporter")) == len(f.instances) && len(f.liveTasks(f.newestDeployment())) == 0
	}, "the service's tasks have not returned")
	testenv.Eventually(f.t, func() bool { return len(f.instancesWithAttribute("blox.takeover.logs")) == 0 })
	assert.Empty(f.t, f.constraints())
}

func (f *takeoverSystem) newestDeployment() string { return *f.listDeployments("logs")[0].ID }

// constraints returns the expressions of the service's placement constraints.
func (f *takeoverSystem) constraints() (expressions []string) {
	f.t.Helper()
	out, err := f.ecs().DescribeServices(f.t.Context(), &ecs.DescribeServicesInput{
		Cluster: aws.String("prod"), Services: []string{"exporter"},
	})
	require.NoError(f.t, err)
	for _, c := range out.Services[0].PlacementConstraints {
		expressions = append(expressions, *c.Expression)
	}
	return expressions
}

// assertFewestRunning fails the test if fewer than n instances have ever had a running task of the agent.
func (f *takeoverSystem) assertFewestRunning(n int) {
	f.t.Helper()
	assert.GreaterOrEqual(f.t, f.sim.Counters().FewestRunning["exporter"], n, "instances with a running agent")
	f.assertNoDuplicates()
}

func TestTakeover_LeavesNoInstanceWithoutTheAgent(t *testing.T) {
	t.Parallel()
	f := newTakeover(t)
	e := f.begin(takeoverBody)
	assert.Equal(t, "START_FIRST", *e.Takeover.Order)
	assert.Equal(t, prod, e.InstanceGroup.Cluster)
	assert.True(t, strings.HasSuffix(e.TaskDefinition, ":task-definition/exporter:1"), e.TaskDefinition)
	f.awaitMoved(f.instances...)
	f.assertFewestRunning(len(f.instances))
	shown := condition(f.scheduler, "Takeover")
	assert.Equal(t, "Completed", *shown.Reason)
	assert.Equal(t, []string{"attribute:blox.takeover.logs == service"}, f.constraints(), "the service stays away")

	joined := f.sim.AddInstances("prod", 1)[0]
	f.awaitOneTaskEach(f.newestDeployment(), append(f.instances, joined)...)
	assert.Empty(t, f.serviceTasks("exporter"))
	f.mustReject(400, "Error saving environment logs to store: An environment with name logs already exists",
		"POST", "/v1/environments", takeoverBody)
}

// Two tasks with one host port cannot run on an instance. The service's stops first, within the rollout budget.
func TestTakeover_StopsFirstWithHostPorts(t *testing.T) {
	t.Parallel()
	f := newTakeover(t, ecssim.WithHostPort(8125, "udp"))
	e := f.begin(`{"name":"logs","fromService":{"cluster":"prod","service":"exporter","deleteService":true}}`)
	assert.Equal(t, "STOP_FIRST", *e.Takeover.Order)
	f.awaitState("COMPLETED")
	f.awaitOneTaskEach(f.newestDeployment(), f.instances...)
	f.assertFewestRunning(len(f.instances) - 1)
	testenv.Eventually(t, func() bool {
		out, err := f.ecs().DescribeServices(t.Context(), &ecs.DescribeServicesInput{
			Cluster: aws.String("prod"), Services: []string{"exporter"},
		})
		return err == nil && *out.Services[0].Status == "INACTIVE"
	}, "the service is not deleted")
	f.mustReject(409, "The takeover by environment logs has deleted the service", "POST",
		"/v1/environments/logs/takeover/cancel", "")
}

// Where both tasks do not fit on an instance, ECS rejects the start, and the service's task stops first.
func TestTakeover_StopsFirstWhereBothDoNotFit(t *testing.T) {
	t.Parallel()
	f := newTakeover(t, ecssim.WithMemory(5000))
	assert.Equal(t, "START_FIRST", *f.begin(takeoverBody).Takeover.Order)
	f.awaitMoved(f.instances...)
	f.assertFewestRunning(len(f.instances) - 1)
}

// If the environment's tasks do not run, no more instances than the rollout budget allows lose the service's.
func TestTakeover_HoldsWhileTasksFail(t *testing.T) {
	t.Parallel()
	f := newTakeover(t, ecssim.WithHostPort(8125, "udp"))
	broken := f.sim.RegisterTaskDefinition("broken", ecssim.WithHostPort(8125, "udp"))
	f.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"broken": 1}})
	f.begin(`{"name":"logs","taskDefinition":"` + broken + `","fromService":{"cluster":"prod","service":"exporter"}}`)
	testenv.Eventually(t, func() bool { return f.runsByStatus("broken", "STOPPED") >= 2 }, "no start was retried")
	assert.Len(t, f.serviceTasks("exporter"), len(f.instances)-1)
	f.mustSend("POST", "/v1/environments/logs/takeover/cancel", "", nil)
	f.awaitReturned()
}

// runsByStatus returns how many tasks of the family have that status.
func (w *system) runsByStatus(family, status string) (n int) {
	for _, task := range w.sim.Tasks("prod") {
		if task.Family == family && task.LastStatus == status {
			n++
		}
	}
	return n
}

func TestTakeover_ContinuesAfterAFailover(t *testing.T) {
	t.Parallel()
	f := newTakeover(t, ecssim.WithHostPort(8125, "udp"))
	other := f.startScheduler(f.css)
	other.awaitReady()
	f.begin(takeoverBody)
	testenv.Eventually(t, func() bool { return len(f.serviceTasks("exporter")) < len(f.instances) })
	f.stop()
	f.scheduler = other
	f.awaitMoved(f.instances...)
	f.assertFewestRunning(len(f.instances) - 1)
}

func TestTakeover_IsCancelledMidway(t *testing.T) {
	t.Parallel()
	f := newTakeover(t)
	f.refuse("PutAttributes", "AccessDeniedException")
	f.begin(takeoverBody)
	f.awaitOneTaskEach(f.newestDeployment(), f.instances...)
	assert.Len(t, f.serviceTasks("exporter"), len(f.instances), "both run while no attribute can be set")
	f.mustSend("POST", "/v1/environments/logs/takeover/cancel", "", nil)
	f.awaitReturned()
	f.assertFewestRunning(len(f.instances))
	assert.Equal(t, "Cancelled", *condition(f.scheduler, "Takeover").Reason)
	e := f.getEnvironment("logs")
	answer, text := f.send("POST", "/v1/environments/logs/deployments?deploymentToken="+e.DeploymentToken, "")
	assert.NotEqual(t, http.StatusOK, answer.StatusCode, text)
}

// A completed takeover can be undone as well, also with host ports.
func TestTakeover_IsUndone(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]ecssim.DefinitionOption{
		"START_FIRST": nil, "STOP_FIRST": {ecssim.WithHostPort(8125, "udp")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newTakeover(t, options...)
			f.begin(takeoverBody)
			f.awaitMoved(f.instances...)
			for range 2 {
				f.mustSend("POST", "/v1/environments/logs/takeover/cancel", "", nil)
			}
			f.awaitReturned()
			fewest := len(f.instances)
			if options != nil {
				fewest--
			}
			f.assertFewestRunning(fewest)
		})
	}
}

func TestTakeover_DryRunChangesNothing(t *testing.T) {
	t.Parallel()
	f := newTakeover(t)
	var e models.Environment
	f.mustSend("POST", "/v1/environments?dryRun=true", takeoverBody, &e)
	assert.Equal(t, "PLANNED", *e.Takeover.State)
	assert.Equal(t, "START_FIRST", *e.Takeover.Order)
	assert.Equal(t, "attribute:blox.takeover.logs not_exists", e.Takeover.PlacementConstraint)
	assert.EqualValues(t, len(f.instances), *e.DesiredCount)
	f.mustReject(404, "Environment logs does not exist", "GET", "/v1/environments/logs", "")
	f.sim.AddInstances("prod", 1)
	testenv.Eventually(t, func() bool { return len(f.serviceTasks("exporter")) == 5 })
	for _, action := range []string{"UpdateService", "PutAttributes", "StartTask", "StopTask"} {
		assert.Zero(t, f.sim.Calls(action), action)
	}
}

func TestTakeover_RefusesOtherServices(t *testing.T) {
	t.Parallel()
	f := newTakeover(t)
	for name, controller := range map[string]types.DeploymentControllerType{"replica": "ECS", "external": "EXTERNAL"} {
		_, err := f.ecs().CreateService(t.Context(), &ecs.CreateServiceInput{
			Cluster: aws.String("prod"), ServiceName: &name, TaskDefinition: &f.agent, DesiredCount: aws.Int32(1),
			DeploymentController: &types.DeploymentController{Type: controller},
		})
		require.NoError(t, err)
	}
	for service, want := range map[string]struct {
		status int
		text   string
	}{
		"replica":  {400, "Service replica is a REPLICA service; its scheduling strategy must be DAEMON"},
		"external": {400, "Service external has the deployment controller EXTERNAL; it must be ECS"},
		"absent":   {404, `Service "absent" does not exist`},
		"":         {400, "validation failure list:\nfromService.service in body is required"},
	} {
		body := `{"name":"logs","fromService":{"cluster":"prod","service":"` + service + `"}}`
		f.mustReject(want.status, want.text, "POST", "/v1/environments", body)
	}
	f.mustReject(404, `Cluster "nowhere" does not exist`, "POST", "/v1/environments",
		`{"name":"logs","fromService":{"cluster":"nowhere","service":"exporter"}}`)
	f.mustReject(404, "Environment logs does not exist", "GET", "/v1/environments/logs", "")
	f.createEnvironment("plain")
	f.mustReject(409, "Environment plain takes no service over", "POST", "/v1/environments/plain/takeover/cancel", "")
	assert.Zero(t, f.sim.Calls("UpdateService"))
}
