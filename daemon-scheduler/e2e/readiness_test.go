package e2e

import (
	stdjson "encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// createWithReadiness creates an environment with the readiness attribute blox.ready, and more JSON fields if given.
func (d *scheduler) createWithReadiness(name, definition, fields string) (e models.Environment) {
	d.t.Helper()
	d.mustSend("POST", "/v1/environments", `{"name":"`+name+`","instanceGroup":{"cluster":"prod"},`+
		`"taskDefinition":"`+definition+`","readinessAttribute":"blox.ready"`+fields+`}`, &e)
	return e
}

// startTaskWithDefinition starts a task of the definition on the instance, as another scheduler would, and
// returns its ARN.
func (w *system) startTaskWithDefinition(definition, instance string) string {
	w.t.Helper()
	out, err := w.ecs().StartTask(w.t.Context(), &ecs.StartTaskInput{
		Cluster: conv.Pointer("prod"), TaskDefinition: &definition, ContainerInstances: []string{instance},
	})
	require.NoError(w.t, err)
	require.Len(w.t, out.Tasks, 1)
	return *out.Tasks[0].TaskArn
}

// instancesWithAttribute returns the instances on which ECS has the attribute with the value true.
func (w *system) instancesWithAttribute(attribute string) map[string]bool {
	has := map[string]bool{}
	for _, i := range w.sim.Instances("prod") {
		if value, ok := i.Attributes[attribute]; ok && value == "true" && i.Status != "INACTIVE" {
			has[i.ARN] = true
		}
	}
	return has
}

// awaitReadyInstances waits until exactly the given instances have the attribute blox.ready.
func (w *system) awaitReadyInstances(instances ...string) {
	w.t.Helper()
	want := map[string]bool{}
	for _, i := range instances {
		want[i] = true
	}
	testenv.Eventually(w.t, func() bool {
		return maps.Equal(want, w.instancesWithAttribute("blox.ready"))
	}, "not exactly %v are ready", instances)
}

// readinessStates returns the state of each readiness record, by key.
func (w *system) readinessStates() map[string]string {
	w.t.Helper()
	got, err := w.client.Get(w.t.Context(), "ecs/readiness/", clientv3.WithPrefix())
	require.NoError(w.t, err)
	states := map[string]string{}
	for _, kv := range got.Kvs {
		var m struct{ State string }
		require.NoError(w.t, stdjson.Unmarshal(kv.Value, &m))
		states[string(kv.Key)] = m.State
	}
	return states
}

// awaitReadinessRecords waits until exactly the given instances have a readiness record, each with the state set.
func (w *system) awaitReadinessRecords(instances ...string) {
	w.t.Helper()
	want := map[string]string{}
	for _, i := range instances {
		want["ecs/readiness/blox.ready/"+i] = "set"
	}
	testenv.Eventually(w.t, func() bool {
		return maps.Equal(want, w.readinessStates())
	}, "not exactly %v have a readiness record", instances)
}

func TestReadiness_ShowsWhereDaemonsRun(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	w.sim.RegisterTaskDefinition("large", ecssim.WithMemory(1000))
	w.sim.RegisterTaskDefinition("hog", ecssim.WithMemory(7000))
	instances := w.sim.AddInstances("prod", 3)
	hog := w.startTaskWithDefinition("hog", instances[2])
	w.setAttribute(instances[0], "other", "true")
	css, _ := w.startCSS("127.0.0.1:0")
	d := w.startScheduler(css)
	d.awaitReady()
	logs := d.createWithReadiness("logs", "agent:1", "")
	logsID := d.deploy(logs)
	w.awaitOneTaskEach(logsID, instances...)
	w.awaitReadyInstances(instances...)

	t.Log("a second environment does not fit on one instance")
	metrics := d.createWithReadiness("metrics", "large", "")
	w.awaitReadyInstances(instances...) // metrics is not deployed yet
	metricsID := d.deploy(metrics)
	w.awaitOneTaskEach(metricsID, instances[:2]...)
	w.awaitReadyInstances(instances[:2]...)
	require.NoError(t, w.sim.KillTask(hog, 0))
	w.awaitReadyInstances(instances...)
	w.awaitReadinessRecords(instances...)

	t.Log("a daemon exits and is replaced")
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	require.NoError(t, w.sim.KillTask(w.liveTasks(logsID)[instances[0]][0].ARN, 1))
	w.awaitReadyInstances(instances[1:]...)
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitReadyInstances(instances...)

	t.Log("a daemon exits while no daemon-scheduler runs")
	d.stop()
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	require.NoError(t, w.sim.KillTask(w.liveTasks(metricsID)[instances[1]][0].ARN, 1))
	d = w.startScheduler(css)
	w.awaitReadyInstances(instances[0], instances[2])
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitReadyInstances(instances...)

	t.Log("an instance is not ready while a rollout replaces its daemon")
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	id := d.deploy(d.patch("logs", `{"taskDefinition":"agent:2"}`))
	testenv.Eventually(t, func() bool { return len(w.instancesWithAttribute("blox.ready")) == 2 })
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitOneTaskEach(id, instances...)
	w.awaitReadyInstances(instances...)
	d.awaitCompleted("logs", id)
	assert.GreaterOrEqual(t, d.metric("blox_ds_readiness_attributes_total", `change="removed"`, `outcome="succeeded"`),
		2.0)
	assert.GreaterOrEqual(t, d.metric("blox_ds_readiness_attributes_total", `change="set"`, `outcome="succeeded"`), 2.0)

	t.Log("readiness follows tasks while the environment is paused")
	d.mustSend("POST", "/v1/environments/logs/pause", "", nil)
	require.NoError(t, w.sim.KillTask(w.liveTasks(id)[instances[2]][0].ARN, 1))
	w.awaitReadyInstances(instances[:2]...)
	d.mustSend("POST", "/v1/environments/logs/resume", "", nil)
	w.awaitReadyInstances(instances...)

	t.Log("instances join and leave")
	added := w.sim.AddInstances("prod", 1)[0]
	w.awaitReadyInstances(append(instances[:3:3], added)...)
	require.NoError(t, w.sim.RemoveInstance(added))
	w.awaitReadinessRecords(instances...)

	t.Log("environments are deleted")
	d.mustSend("DELETE", "/v1/environments/metrics?stopTasks=true", "", nil)
	testenv.Eventually(t, func() bool { return len(w.liveTasks(metricsID)) == 0 })
	w.awaitReadyInstances(instances...)
	d.deploy(d.patch("logs", `{"readinessAttribute":"blox/warm"}`))
	testenv.Eventually(t, func() bool { return len(w.instancesWithAttribute("blox/warm")) == 3 })
	testenv.Eventually(t, func() bool {
		return maps.Equal(map[string]string{
			"ecs/readiness/blox%2Fwarm/" + instances[0]: "set", "ecs/readiness/blox%2Fwarm/" + instances[1]: "set",
			"ecs/readiness/blox%2Fwarm/" + instances[2]: "set",
		}, w.readinessStates())
	})
	d.mustSend("DELETE", "/v1/environments/logs", "", nil)
	testenv.Eventually(t, func() bool {
		return len(w.readinessStates()) == 0 && len(w.instancesWithAttribute("blox/warm")) == 0
	})
	assert.Equal(t, map[string]bool{instances[0]: true}, w.instancesWithAttribute("other"), "other attributes remain")
	w.assertNoDuplicates()
}

// Agents reconnect and nothing has to change, so the scheduler calls ECS neither for tasks nor for attributes.
func TestReadiness_MakesNoECSCallsAtRest(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices("--attribute-interval", "1h") // which lists attributes
	d.awaitReady()
	id := d.deploy(d.createWithReadiness("logs", "agent", ""))
	w.awaitReadyInstances(instances...)
	w.awaitReadinessRecords(instances...)
	d.awaitCompleted("logs", id)
	testenv.Eventually(t, func() bool { return !w.hasOpenLaunches("logs") })
	calls, reconciliations := d.metric("blox_ds_aws_calls_total"), d.metric("blox_ds_environment_reconciliations_total")
	testenv.Eventually(t, func() bool {
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
		return d.metric("blox_ds_environment_reconciliations_total") > reconciliations+20
	})
	assert.Equal(t, calls, d.metric("blox_ds_aws_calls_total"))
	assert.LessOrEqual(t, w.sim.Calls("PutAttributes"), 2, "at most one call for each instance")
	assert.Zero(t, w.sim.Calls("DeleteAttributes"))
}

func TestReadiness_ValidatesAttributeNames(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startScheduler(unusedAddress)
	for _, name := range []string{strings.Repeat("a", 128), `a/b\\c-d_e.F9`, ""} {
		d.mustSend(http.MethodPost, "/v1/environments", `{"name":"e`+string(rune('a'+len(name)%20))+
			`","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent","readinessAttribute":"`+name+`"}`, nil)
	}
	for name, want := range map[string]string{
		strings.Repeat("a", 129): "should be at most 128 chars long",
		"a b":                    `should match '^[a-zA-Z0-9_.\\/-]*$'`,
		"ecs.ready":              "should not begin with ecs. or com.amazonaws., which are ECS's own",
		"com.amazonaws.ready":    "should not begin with ecs. or com.amazonaws., which are ECS's own",
	} {
		d.mustReject(400, "validation failure list:\nreadinessAttribute in body "+want, http.MethodPost, "/v1/environments",
			`{"name":"x","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent","readinessAttribute":"`+name+`"}`)
	}
}
