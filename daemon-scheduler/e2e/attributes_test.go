package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// soon makes a scheduler compare attributes with ECS often.
var soon = []string{"--attribute-interval", "100ms"}

func (w *system) deleteAttribute(instance, name string) {
	w.t.Helper()
	_, err := w.ecs().DeleteAttributes(w.t.Context(),
		&ecs.DeleteAttributesInput{Cluster: conv.Pointer("prod"), Attributes: []types.Attribute{
			{Name: &name, TargetId: &instance, TargetType: types.TargetTypeContainerInstance},
		}})
	require.NoError(w.t, err)
}

// A readiness attribute that is removed or changed by hand is set again.
func TestReadiness_SetsAnAttributeAgainThatWasRemovedByHand(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	d := w.startServices(soon...)
	d.awaitReady()
	id := d.deploy(d.createWithReadiness("logs", "agent", ""))
	d.awaitCompleted("logs", id)
	w.awaitReadyInstances(instances...)
	w.awaitReadinessRecords(instances...)
	w.deleteAttribute(instances[0], "blox.ready")
	w.setAttribute(instances[1], "blox.ready", "no")
	w.awaitReadyInstances(instances...)
	w.awaitReadinessRecords(instances...)
	sets := w.sim.Calls("PutAttributes")
	lists := w.sim.Calls("ListAttributes")
	testenv.Eventually(t, func() bool { return w.sim.Calls("ListAttributes") > lists+5 })
	assert.Equal(t, sets, w.sim.Calls("PutAttributes"), "nothing is left to set")
}

// A change of attributes sends no event. All replicas follow it before the next reconciliation of the
// cluster-state-service.
func TestInstanceGroup_FollowsAttributesThatChange(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	w.setAttribute(instances[0], "zone", "a")
	css, _ := w.startCSS("127.0.0.1:0")
	leader := w.startScheduler(css, soon...)
	leader.awaitReady()
	follower := w.startScheduler(css, soon...)
	var e models.Environment
	leader.mustSend("POST", "/v1/environments",
		`{"name":"logs","taskDefinition":"agent","instanceGroup":{"cluster":"prod","query":"attribute:zone exists"}}`, &e)
	id := leader.deploy(e)
	leader.awaitCompleted("logs", id)
	w.awaitOneTaskEach(id, instances[0])
	w.setAttribute(instances[1], "zone", "b")
	w.awaitOneTaskEach(id, instances[:2]...)
	w.deleteAttribute(instances[0], "zone")
	w.awaitOneTaskEach(id, instances[1])
	testenv.Eventually(t, func() bool {
		return follower.instanceStatuses("logs")[instances[0]] == "excluded: The instance does not match the instance group."
	}, "the follower shows old attributes")
	w.assertNoDuplicates()
}

// An instance counts once its ECS agent is new enough.
func TestInstanceGroup_SelectsByAgentVersion(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	var instances []string
	for _, version := range []string{"1.9.0", "1.86.2"} {
		registered, err := w.ecs().RegisterContainerInstance(t.Context(), &ecs.RegisterContainerInstanceInput{
			Cluster: conv.Pointer("prod"), VersionInfo: &types.VersionInfo{AgentVersion: &version},
		})
		require.NoError(t, err)
		instances = append(instances, *registered.ContainerInstance.ContainerInstanceArn)
	}
	d := w.startServices()
	create := func(query string) string {
		return `{"name":"logs","taskDefinition":"agent","instanceGroup":{"cluster":"prod","query":"` + query + `"}}`
	}
	var e models.Environment
	d.mustSend("POST", "/v1/environments", create("agentVersion >= 1.10 and registeredAt > 2020-01-01"), &e)
	id := d.deploy(e)
	w.awaitOneTaskEach(id, instances[1])
	d.awaitCompleted("logs", id)
	d.mustReject(400, "validation failure list:\ninstanceGroup.query in body is invalid: column 1: runningTasksCount "+
		"cannot select instances: the daemon's own task would change it",
		"POST", "/v1/environments", create("runningTasksCount < 5"))
	w.assertNoDuplicates()
}

func TestInstanceGroup_WithoutCustomAttributesListsNone(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 1)
	d := w.startServices("--attribute-interval", "1ms")
	var e models.Environment
	d.mustSend("POST", "/v1/environments", `{"name":"logs","taskDefinition":"agent","instanceGroup":{"cluster":"prod",`+
		`"query":"attribute:ecs.os-type != windows and agentConnected == true"}}`, &e)
	id := d.deploy(e)
	w.awaitOneTaskEach(id, instances...)
	d.awaitCompleted("logs", id)
	assert.Zero(t, w.sim.Calls("ListAttributes"))
}
