package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// ECS throttles calls, fails before or after the change, and loses responses. In the end, exactly the instances that
// run the daemons have the attribute and a putOpenRecord.
func TestReadiness_ConvergesDespiteFaults(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 4)
	css, _ := w.startCSS("127.0.0.1:0")
	d := w.startScheduler(css, "--start-confirm-timeout", "1s")
	d.awaitReady()
	logs, metrics := d.createWithReadiness("logs", "agent", ""), d.createWithReadiness("metrics", "agent", "")
	rates := map[string]float64{"PutAttributes": 0.3, "DeleteAttributes": 0.3}
	w.sim.SetFaults(ecssim.Faults{Throttle: rates, ServerErrors: rates, LateServerErrors: rates,
		LostResponses: rates})
	ids := []string{d.deploy(logs), d.deploy(metrics)}
	for n := range 8 { // each task is killed once
		id := ids[n/4]
		w.awaitOneTaskEach(id, instances...)
		require.NoError(t, w.sim.KillTask(w.liveTasks(id)[instances[n%4]][0].ARN, 0))
		if n == 5 {
			d.stop()
			d = w.startScheduler(css, "--start-confirm-timeout", "1s")
		}
	}
	testenv.Eventually(t, func() bool { return w.sim.Calls("PutAttributes") >= 5 })
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitOneTaskEach(ids[0], instances...)
	w.awaitOneTaskEach(ids[1], instances...)
	w.awaitReadyInstances(instances...)
	w.awaitReadinessRecords(instances...)

	w.sim.SetFaults(ecssim.Faults{Throttle: rates, ServerErrors: rates, LateServerErrors: rates,
		LostResponses: rates})
	d.mustSend("DELETE", "/v1/environments/logs?stopTasks=true", "", nil)
	d.mustSend("DELETE", "/v1/environments/metrics?stopTasks=true", "", nil)
	w.awaitReadyInstances()
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitReadinessRecords()
	w.awaitReadyInstances()
}

// A crashed scheduler left open records, with and without the attribute in ECS. Its successor resolves both.
func TestReadiness_ResolvesOpenRecordsAfterCrash(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 4)
	putOpenRecord := func(instance string) {
		w.putRecord("ecs/readiness/blox.ready/"+instance, `{"Cluster":"`+prod+`","State":"open","NotAfter":"`+
			time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)+`","Later":1}`)
	}
	for _, instance := range instances[:2] {
		putOpenRecord(instance)
	}
	w.setAttribute(instances[1], "blox.ready", "true")
	w.setAttribute(instances[3], "blox.ready", "true") // set by an operator
	hog := w.sim.RegisterTaskDefinition("hog", ecssim.WithMemory(7650))
	w.startTaskWithDefinition(hog, instances[1])
	w.startTaskWithDefinition(hog, instances[3])
	w.startTask(instances[0], newDeployment)
	naming := `"Revisions":[{"Number":1,"Spec":{"TaskDefinition":"` + w.agent +
		`","ReadinessAttribute":"blox.ready"}}],"Deployments"`
	w.putRecord("ecs/environment/busy", strings.Replace(inProgressRecord(w.agent), `"Deployments"`, naming, 1))
	w.startServices("--start-confirm-timeout", "0s")
	w.awaitOneTaskEach(newDeployment, instances[0], instances[2])
	w.awaitReadyInstances(instances[0], instances[2], instances[3])
	w.awaitReadinessRecords(instances[0], instances[2])
	got, err := w.client.Get(t.Context(), "ecs/readiness/blox.ready/"+instances[0])
	require.NoError(t, err)
	assert.Contains(t, string(got.Kvs[0].Value), `"Later":1`, "fields of later versions are kept")
}

// The cache still holds an instance that ECS does not know. The other instances become ready, and the scheduler does
// not retry the unknown one.
func TestReadiness_UnknownInstanceDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	d := w.startServices()
	d.awaitReady()
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"PutAttributes": 1}})
	id := d.deploy(d.createWithReadiness("logs", "agent", ""))
	w.awaitOneTaskEach(id, instances...)
	testenv.Eventually(t, func() bool {
		return d.isRecorded(instances[0]) && d.isRecorded(instances[1]) && d.isRecorded(instances[2])
	})
	d.awaitCompleted("logs", id)
	const unknownInstance = "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/00000000000000000000000000000000"
	task := w.liveTasks(id)[instances[0]][0].ARN
	for key, newKey := range map[string]string{"ecs/instance/prod/" + instances[0]: "ecs/instance/prod/" + unknownInstance,
		"ecs/task/prod/" + task: "ecs/task/prod/" + task[:len(task)-1] + "x"} {
		stored, err := w.client.Get(t.Context(), key)
		require.NoError(t, err)
		value := strings.ReplaceAll(string(stored.Kvs[0].Value), instances[0], unknownInstance)
		w.putRecord(newKey, strings.ReplaceAll(value, task, task[:len(task)-1]+"x"))
	}
	testenv.Eventually(t, func() bool { _, found := d.instanceStatuses("logs")[unknownInstance]; return found })
	testenv.Eventually(t, func() bool { return strings.HasPrefix(d.instanceStatuses("logs")[unknownInstance], "running") })
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitReadyInstances(instances...)
	w.awaitReadinessRecords(instances...)
	rejected := func() float64 { return d.metric("blox_ds_readiness_attributes_total", `outcome="instance_gone"`) }
	testenv.Eventually(t, func() bool { return rejected() == 1 })
	calls, reconciliations := w.sim.Calls("PutAttributes"), d.metric("blox_ds_environment_reconciliations_total")
	testenv.Eventually(t, func() bool {
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
		return d.metric("blox_ds_environment_reconciliations_total") > reconciliations+20
	})
	assert.Equal(t, calls, w.sim.Calls("PutAttributes"))
}

// One instance has as many attributes as ECS allows. The others become ready, and the scheduler does not retry it.
func TestReadiness_FullInstanceDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	for n := 0; !w.isFull(instances[1], n); n++ {
		require.Less(t, n, 1000)
	}
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"PutAttributes": 1}})
	d := w.startServices()
	d.awaitReady()
	w.awaitOneTaskEach(d.deploy(d.createWithReadiness("logs", "agent", "")), instances...)
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitReadyInstances(instances[0], instances[2])
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_readiness_attributes_total", `outcome="rejected"`) == 1 })
	calls := w.sim.Calls("PutAttributes")
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	w.awaitReadyInstances(instances[2])
	assert.Equal(t, calls, w.sim.Calls("PutAttributes"))
}

// IAM denies PutAttributes. The scheduler does not retry at every reconciliation.
func TestReadiness_DoesNotRetryDeniedCalls(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	var puts atomic.Int64
	w.intercept(func(action string, answer http.ResponseWriter) bool {
		if action != "PutAttributes" {
			return false
		}
		puts.Add(1)
		answer.Header().Set("Content-Type", "application/x-amz-json-1.1")
		answer.WriteHeader(http.StatusBadRequest)
		_, _ = answer.Write([]byte(`{"__type":"AccessDeniedException","message":"not authorized to perform: ` +
			`ecs:PutAttributes"}`))
		return true
	})
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	d.awaitCompleted("logs", d.deploy(d.createWithReadiness("logs", "agent", "")))
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_readiness_attributes_total", `outcome="rejected"`) >= 2 })
	before, reconciliations := puts.Load(), d.metric("blox_ds_environment_reconciliations_total")
	testenv.Eventually(t, func() bool {
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
		return d.metric("blox_ds_environment_reconciliations_total") > reconciliations+20
	})
	assert.Equal(t, before, puts.Load())
}

// isFull sets another attribute on the instance and reports whether ECS rejects it.
func (w *system) isFull(instance string, n int) bool {
	name := fmt.Sprint("a", n)
	_, err := w.ecs().PutAttributes(w.t.Context(),
		&ecs.PutAttributesInput{
			Cluster: conv.Pointer("prod"), Attributes: []types.Attribute{{Name: &name, TargetId: &instance}},
		})
	return err != nil
}
