package e2e

import (
	stdjson "encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// createWithReadiness makes an environment of the task definition that names the attribute blox.ready, and more that
// is given as JSON.
func (d *scheduler) createWithReadiness(name, definition, more string) (e models.Environment) {
	d.t.Helper()
	d.mustSend("POST", "/v1/environments", `{"name":"`+name+`","instanceGroup":{"cluster":"prod"},"taskDefinition":"`+definition+`",
		"readinessAttribute":"blox.ready"`+more+`}`, &e)
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

// instancesWithAttribute is the instances that have the attribute in ECS.
func (w *system) instancesWithAttribute(attribute string) map[string]bool {
	has := map[string]bool{}
	for _, i := range w.sim.Instances("prod") {
		if value, ok := i.Attributes[attribute]; ok && value == "true" && i.Status != "INACTIVE" {
			has[i.ARN] = true
		}
	}
	return has
}

// awaitReadyInstances waits until exactly these instances have the attribute blox.ready.
func (w *system) awaitReadyInstances(instances ...string) {
	w.t.Helper()
	want := map[string]bool{}
	for _, i := range instances {
		want[i] = true
	}
	testenv.Eventually(w.t, func() bool {
		return maps.Equal(want, w.instancesWithAttribute("blox.ready"))
	}, "not ready are %v", instances)
}

// readinessStates is the state of each record of a readiness attribute, by key.
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

// awaitReadinessRecords waits until the records are of exactly these instances, and all settled.
func (w *system) awaitReadinessRecords(instances ...string) {
	w.t.Helper()
	want := map[string]string{}
	for _, i := range instances {
		want["ecs/readiness/blox.ready/"+i] = "set"
	}
	testenv.Eventually(w.t, func() bool {
		return maps.Equal(want, w.readinessStates())
	}, "the records are not of %v", instances)
}

func TestReadiness_FollowsDaemons(t *testing.T) {
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

	t.Log("a second environment is to run too, and has no room on one instance")
	metrics := d.createWithReadiness("metrics", "large", "")
	w.awaitReadyInstances(instances...) // it is only created
	metricsID := d.deploy(metrics)
	w.awaitOneTaskEach(metricsID, instances[:2]...)
	w.awaitReadyInstances(instances[:2]...)
	require.NoError(t, w.sim.KillTask(hog, 0))
	w.awaitReadyInstances(instances...)
	w.awaitReadinessRecords(instances...)

	t.Log("a daemon dies, and comes back")
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	require.NoError(t, w.sim.KillTask(w.liveTasks(logsID)[instances[0]][0].ARN, 1))
	w.awaitReadyInstances(instances[1:]...)
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitReadyInstances(instances...)

	t.Log("a daemon dies while no daemon-scheduler is there")
	d.stop()
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	require.NoError(t, w.sim.KillTask(w.liveTasks(metricsID)[instances[1]][0].ARN, 1))
	d = w.startScheduler(css)
	w.awaitReadyInstances(instances[0], instances[2])
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitReadyInstances(instances...)

	t.Log("while a rollout replaces a daemon its instance is not ready")
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

	t.Log("pausing changes nothing about what runs")
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

	t.Log("environments go")
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
	assert.Equal(t, map[string]bool{instances[0]: true}, w.instancesWithAttribute("other"), "what others have set stays")
	w.assertNoDuplicates()
}

// However calls are throttled, fail before or after the deed, or lose their answers, and however their order, the
// attributes are in the end where the daemons run, and on record.
func TestReadiness_ConvergesDespiteFaults(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 4)
	css, _ := w.startCSS("127.0.0.1:0")
	d := w.startScheduler(css, "--start-confirm-timeout", "1s")
	d.awaitReady()
	logs, metrics := d.createWithReadiness("logs", "agent", ""), d.createWithReadiness("metrics", "agent", "")
	trouble := map[string]float64{"PutAttributes": 0.3, "DeleteAttributes": 0.3}
	w.sim.SetFaults(ecssim.Faults{Throttle: trouble, ServerErrors: trouble, LateServerErrors: trouble,
		LostResponses: trouble})
	ids := []string{d.deploy(logs), d.deploy(metrics)}
	for n := range 8 { // each daemon dies once
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

	w.sim.SetFaults(ecssim.Faults{Throttle: trouble, ServerErrors: trouble, LateServerErrors: trouble,
		LostResponses: trouble})
	d.mustSend("DELETE", "/v1/environments/logs?stopTasks=true", "", nil)
	d.mustSend("DELETE", "/v1/environments/metrics?stopTasks=true", "", nil)
	w.awaitReadyInstances()
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitReadinessRecords()
	w.awaitReadyInstances()
}

// What a process leaves behind that dies between its record and its call, or between the call and the record.
func TestReadiness_ResolvesOpenRecordsAfterCrash(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 4)
	record := func(instance string) {
		w.putRecord("ecs/readiness/blox.ready/"+instance, `{"Cluster":"`+prod+`","State":"open","NotAfter":"`+
			time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)+`","Later":1}`)
	}
	for _, instance := range instances[:2] {
		record(instance)
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
	assert.Contains(t, string(got.Kvs[0].Value), `"Later":1`, "what a later version has written is kept")
}

// An instance that ECS does not know, and that the copy still shows, keeps no other from being ready, and is not
// asked for again and again.
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
	const gone = "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/00000000000000000000000000000000"
	task := w.liveTasks(id)[instances[0]][0].ARN
	for key, change := range map[string]string{"ecs/instance/prod/" + instances[0]: "ecs/instance/prod/" + gone,
		"ecs/task/prod/" + task: "ecs/task/prod/" + task[:len(task)-1] + "x"} {
		known, err := w.client.Get(t.Context(), key)
		require.NoError(t, err)
		value := strings.ReplaceAll(string(known.Kvs[0].Value), instances[0], gone)
		w.putRecord(change, strings.ReplaceAll(value, task, task[:len(task)-1]+"x"))
	}
	testenv.Eventually(t, func() bool { _, there := d.instanceStatuses("logs")[gone]; return there })
	testenv.Eventually(t, func() bool { return strings.HasPrefix(d.instanceStatuses("logs")[gone], "running") })
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitReadyInstances(instances...)
	w.awaitReadinessRecords(instances...)
	refused := func() float64 { return d.metric("blox_ds_readiness_attributes_total", `outcome="instance_gone"`) }
	testenv.Eventually(t, func() bool { return refused() == 1 })
	calls, looks := w.sim.Calls("PutAttributes"), d.metric("blox_ds_environment_reconciles_total")
	testenv.Eventually(t, func() bool {
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
		return d.metric("blox_ds_environment_reconciles_total") > looks+20
	})
	assert.Equal(t, calls, w.sim.Calls("PutAttributes"))
}

// An instance that can have no more attributes keeps no other from being ready, and is not asked for again and again.
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

// Who is not allowed to set attributes does not try again and again.
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
	before, looks := puts.Load(), d.metric("blox_ds_environment_reconciles_total")
	testenv.Eventually(t, func() bool {
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
		return d.metric("blox_ds_environment_reconciles_total") > looks+20
	})
	assert.Equal(t, before, puts.Load())
}

// isFull sets one more attribute on the instance and reports whether ECS rejects it.
func (w *system) isFull(instance string, n int) bool {
	name := fmt.Sprint("a", n)
	_, err := w.ecs().PutAttributes(w.t.Context(),
		&ecs.PutAttributesInput{
			Cluster: conv.Pointer("prod"), Attributes: []types.Attribute{{Name: &name, TargetId: &instance}},
		})
	return err != nil
}

// At rest nothing is asked, whatever happens that needs nothing done.
func TestReadiness_MakesNoECSCallsAtRest(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	id := d.deploy(d.createWithReadiness("logs", "agent", ""))
	w.awaitReadyInstances(instances...)
	w.awaitReadinessRecords(instances...)
	d.awaitCompleted("logs", id)
	testenv.Eventually(t, func() bool { return !w.hasOpenLaunches("logs") })
	calls, looks := d.metric("blox_ds_aws_calls_total"), d.metric("blox_ds_environment_reconciles_total")
	testenv.Eventually(t, func() bool {
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
		return d.metric("blox_ds_environment_reconciles_total") > looks+20
	})
	assert.Equal(t, calls, d.metric("blox_ds_aws_calls_total"))
	assert.LessOrEqual(t, w.sim.Calls("PutAttributes"), 2, "one call for each at most")
	assert.Zero(t, w.sim.Calls("DeleteAttributes"))
}

// On a draining instance, the daemons run as long as the workload task does, then stop one after the other.
func TestDrain_StopsDaemonsLast(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	last := d.deploy(d.createWithReadiness("last", "agent", `,"drainOrder":2`))
	first := d.deploy(d.createWithReadiness("first", "agent", `,"drainOrder":1`))
	for _, id := range []string{last, first} {
		w.awaitOneTaskEach(id, instances...)
	}
	w.awaitReadyInstances(instances...)
	work := w.startTask(instances[0], "another-scheduler")
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	testenv.Eventually(t, func() bool {
		return strings.Contains(d.instanceStatuses("first")[instances[0]], "other tasks still run on it") &&
			strings.Contains(d.instanceStatuses("last")[instances[0]], "other tasks still run on it")
	})
	assert.Len(t, w.liveTasksOn(instances[0]), 3)
	w.awaitReadyInstances(instances...)

	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StopTask": 1}})
	require.NoError(t, w.sim.KillTask(work, 0))
	testenv.Eventually(t, func() bool {
		return strings.Contains(d.instanceStatuses("last")[instances[0]], "daemons with a lower drain order")
	})
	assert.Len(t, w.liveTasksOn(instances[0]), 2)
	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return len(w.liveTasksOn(instances[0])) == 0 }, "the drain does not end")
	stopped := map[string]time.Time{}
	for _, task := range w.describeTasks(instances[0]) {
		stopped[aws.ToString(task.StartedBy)] = aws.ToTime(task.StoppedAt)
		if by := aws.ToString(task.StartedBy); by != "another-scheduler" {
			assert.Equal(t, "blox: the instance is draining, environment "+map[string]string{first: "first", last: "last"}[by],
				aws.ToString(task.StoppedReason))
		}
	}
	assert.False(t, stopped[first].Before(stopped["another-scheduler"]), "a daemon left before the work was done")
	assert.False(t, stopped[last].Before(stopped[first]), "they left in another order")
	w.awaitReadyInstances(instances[1])
	w.awaitReadinessRecords(instances[1])

	require.NoError(t, w.sim.ActivateInstance(instances[0]))
	w.awaitReadyInstances(instances...)
	w.assertNoDuplicates()
}

// describeTasks is all tasks that were on the instance.
func (w *system) describeTasks(instance string) []types.Task {
	w.t.Helper()
	var arns []string
	for _, task := range w.sim.Tasks("prod") {
		if task.InstanceARN == instance {
			arns = append(arns, task.ARN)
		}
	}
	out, err := w.ecs().DescribeTasks(w.t.Context(), &ecs.DescribeTasksInput{Cluster: conv.Pointer("prod"), Tasks: arns})
	require.NoError(w.t, err)
	return out.Tasks
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
