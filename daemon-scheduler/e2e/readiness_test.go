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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// naming makes an environment of the task definition that names the attribute blox.ready, and more that is given as JSON.
func (d *ds) naming(name, definition, more string) (e models.Environment) {
	d.t.Helper()
	d.ok("POST", "/v1/environments", `{"name":"`+name+`","instanceGroup":{"cluster":"prod"},"taskDefinition":"`+definition+`",
		"readinessAttribute":"blox.ready"`+more+`}`, &e)
	return e
}

// startTaskOf starts a task of the definition on the instance, as somebody else than Blox would, and returns its ARN.
func (w *world) startTaskOf(definition, instance string) string {
	w.t.Helper()
	out, err := w.ecs().StartTask(w.t.Context(), &ecs.StartTaskInput{
		Cluster: ptr("prod"), TaskDefinition: &definition, ContainerInstances: []string{instance},
	})
	require.NoError(w.t, err)
	require.Len(w.t, out.Tasks, 1)
	return *out.Tasks[0].TaskArn
}

// marked is the instances that have the attribute in ECS.
func (w *world) marked(attribute string) map[string]bool {
	has := map[string]bool{}
	for _, i := range w.sim.Instances("prod") {
		if value, ok := i.Attributes[attribute]; ok && value == "true" && i.Status != "INACTIVE" {
			has[i.ARN] = true
		}
	}
	return has
}

// isReady waits until exactly these instances have the attribute blox.ready.
func (w *world) isReady(instances ...string) {
	w.t.Helper()
	want := map[string]bool{}
	for _, i := range instances {
		want[i] = true
	}
	testenv.Eventually(w.t, func() bool { return maps.Equal(want, w.marked("blox.ready")) }, "not ready are %v", instances)
}

// marks is the state of each record of a readiness attribute, by key.
func (w *world) marks() map[string]string {
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

// recorded waits until the records are of exactly these instances, and all settled.
func (w *world) recorded(instances ...string) {
	w.t.Helper()
	want := map[string]string{}
	for _, i := range instances {
		want["ecs/readiness/blox.ready/"+i] = "set"
	}
	testenv.Eventually(w.t, func() bool { return maps.Equal(want, w.marks()) }, "the records are not of %v", instances)
}

func TestInstancesAreReadyWhileAllDaemonsRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	w.sim.RegisterTaskDefinition("large", ecssim.WithMemory(1000))
	w.sim.RegisterTaskDefinition("hog", ecssim.WithMemory(7000))
	instances := w.sim.AddInstances("prod", 3)
	hog := w.startTaskOf("hog", instances[2])
	w.attribute(instances[0], "other", "true")
	css, _ := w.css("127.0.0.1:0")
	d := w.ds(css)
	d.ready()
	logs := d.naming("logs", "agent:1", "")
	logsID := d.deploy(logs)
	w.oneEach(logsID, instances...)
	w.isReady(instances...)

	t.Log("a second environment is to run too, and has no room on one instance")
	metrics := d.naming("metrics", "large", "")
	w.isReady(instances...) // it is only created
	metricsID := d.deploy(metrics)
	w.oneEach(metricsID, instances[:2]...)
	w.isReady(instances[:2]...)
	require.NoError(t, w.sim.KillTask(hog, 0))
	w.isReady(instances...)
	w.recorded(instances...)

	t.Log("a daemon dies, and comes back")
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	require.NoError(t, w.sim.KillTask(w.live(logsID)[instances[0]][0].ARN, 1))
	w.isReady(instances[1:]...)
	w.sim.SetFaults(ecssim.Faults{})
	w.isReady(instances...)

	t.Log("a daemon dies while no daemon-scheduler is there")
	d.stop()
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	require.NoError(t, w.sim.KillTask(w.live(metricsID)[instances[1]][0].ARN, 1))
	d = w.ds(css)
	w.isReady(instances[0], instances[2])
	w.sim.SetFaults(ecssim.Faults{})
	w.isReady(instances...)

	t.Log("while a rollout replaces a daemon its instance is not ready")
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	id := d.deploy(d.patch("logs", `{"taskDefinition":"agent:2"}`))
	testenv.Eventually(t, func() bool { return len(w.marked("blox.ready")) == 2 })
	w.sim.SetFaults(ecssim.Faults{})
	w.oneEach(id, instances...)
	w.isReady(instances...)
	d.completed("logs", id)
	assert.GreaterOrEqual(t, d.metric("blox_ds_readiness_attributes_total", `change="removed"`, `outcome="succeeded"`), 2.0)
	assert.GreaterOrEqual(t, d.metric("blox_ds_readiness_attributes_total", `change="set"`, `outcome="succeeded"`), 2.0)

	t.Log("pausing changes nothing about what runs")
	d.ok("POST", "/v1/environments/logs/pause", "", nil)
	require.NoError(t, w.sim.KillTask(w.live(id)[instances[2]][0].ARN, 1))
	w.isReady(instances[:2]...)
	d.ok("POST", "/v1/environments/logs/resume", "", nil)
	w.isReady(instances...)

	t.Log("instances join and leave")
	added := w.sim.AddInstances("prod", 1)[0]
	w.isReady(append(instances[:3:3], added)...)
	require.NoError(t, w.sim.RemoveInstance(added))
	w.recorded(instances...)

	t.Log("environments go")
	d.ok("DELETE", "/v1/environments/metrics?stopTasks=true", "", nil)
	testenv.Eventually(t, func() bool { return len(w.live(metricsID)) == 0 })
	w.isReady(instances...)
	d.deploy(d.patch("logs", `{"readinessAttribute":"blox/warm"}`))
	testenv.Eventually(t, func() bool { return len(w.marked("blox/warm")) == 3 })
	testenv.Eventually(t, func() bool {
		return maps.Equal(map[string]string{
			"ecs/readiness/blox%2Fwarm/" + instances[0]: "set", "ecs/readiness/blox%2Fwarm/" + instances[1]: "set", "ecs/readiness/blox%2Fwarm/" + instances[2]: "set",
		}, w.marks())
	})
	d.ok("DELETE", "/v1/environments/logs", "", nil)
	testenv.Eventually(t, func() bool { return len(w.marks()) == 0 && len(w.marked("blox/warm")) == 0 })
	assert.Equal(t, map[string]bool{instances[0]: true}, w.marked("other"), "what others have set stays")
	w.neverTwo()
}

// However calls are throttled, fail before or after the deed, or lose their answers, and however their order, the
// attributes are in the end where the daemons run, and on record.
func TestReadinessWhileMuchGoesWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	instances := w.sim.AddInstances("prod", 4)
	css, _ := w.css("127.0.0.1:0")
	d := w.ds(css, "--start-confirm-timeout", "1s")
	d.ready()
	logs, metrics := d.naming("logs", "agent", ""), d.naming("metrics", "agent", "")
	trouble := map[string]float64{"PutAttributes": 0.3, "DeleteAttributes": 0.3}
	w.sim.SetFaults(ecssim.Faults{Throttle: trouble, ServerErrors: trouble, LateServerErrors: trouble, LostResponses: trouble})
	ids := []string{d.deploy(logs), d.deploy(metrics)}
	for n := range 8 { // each daemon dies once
		id := ids[n/4]
		w.oneEach(id, instances...)
		require.NoError(t, w.sim.KillTask(w.live(id)[instances[n%4]][0].ARN, 0))
		if n == 5 {
			d.stop()
			d = w.ds(css, "--start-confirm-timeout", "1s")
		}
	}
	testenv.Eventually(t, func() bool { return w.sim.Calls("PutAttributes") >= 5 })
	w.sim.SetFaults(ecssim.Faults{})
	w.oneEach(ids[0], instances...)
	w.oneEach(ids[1], instances...)
	w.isReady(instances...)
	w.recorded(instances...)

	w.sim.SetFaults(ecssim.Faults{Throttle: trouble, ServerErrors: trouble, LateServerErrors: trouble, LostResponses: trouble})
	d.ok("DELETE", "/v1/environments/logs?stopTasks=true", "", nil)
	d.ok("DELETE", "/v1/environments/metrics?stopTasks=true", "", nil)
	w.isReady()
	w.sim.SetFaults(ecssim.Faults{})
	w.recorded()
	w.isReady()
}

// What a process leaves behind that dies between its record and its call, or between the call and the record.
func TestReadinessLeftOpenByACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	instances := w.sim.AddInstances("prod", 4)
	record := func(instance string) {
		w.put("ecs/readiness/blox.ready/"+instance, `{"Cluster":"`+prod+`","State":"open","NotAfter":"`+time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)+`","Later":1}`)
	}
	for _, instance := range instances[:2] {
		record(instance)
	}
	w.attribute(instances[1], "blox.ready", "true")
	w.attribute(instances[3], "blox.ready", "true") // which is somebody else's
	hog := w.sim.RegisterTaskDefinition("hog", ecssim.WithMemory(7650))
	w.startTaskOf(hog, instances[1])
	w.startTaskOf(hog, instances[3])
	w.startTask(instances[0], newer)
	naming := `"Revisions":[{"Number":1,"Spec":{"TaskDefinition":"` + w.agent + `","ReadinessAttribute":"blox.ready"}}],"Deployments"`
	w.put("ecs/environment/busy", strings.Replace(inProgress(w.agent), `"Deployments"`, naming, 1))
	w.blox("--start-confirm-timeout", "0s")
	w.oneEach(newer, instances[0], instances[2])
	w.isReady(instances[0], instances[2], instances[3])
	w.recorded(instances[0], instances[2])
	got, err := w.client.Get(t.Context(), "ecs/readiness/blox.ready/"+instances[0])
	require.NoError(t, err)
	assert.Contains(t, string(got.Kvs[0].Value), `"Later":1`, "what a later version has written is kept")
}

// An instance that ECS does not know, and that the copy still shows, keeps no other from being ready, and is not asked for
// again and again.
func TestReadinessOfAnUnknownInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	instances := w.sim.AddInstances("prod", 3)
	d := w.blox()
	d.ready()
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"PutAttributes": 1}})
	id := d.deploy(d.naming("logs", "agent", ""))
	w.oneEach(id, instances...)
	testenv.Eventually(t, func() bool { return d.seen(instances[0]) && d.seen(instances[1]) && d.seen(instances[2]) })
	d.completed("logs", id)
	const gone = "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/00000000000000000000000000000000"
	task := w.live(id)[instances[0]][0].ARN
	for key, change := range map[string]string{"ecs/instance/prod/" + instances[0]: "ecs/instance/prod/" + gone, "ecs/task/prod/" + task: "ecs/task/prod/" + task[:len(task)-1] + "x"} {
		known, err := w.client.Get(t.Context(), key)
		require.NoError(t, err)
		value := strings.ReplaceAll(string(known.Kvs[0].Value), instances[0], gone)
		w.put(change, strings.ReplaceAll(value, task, task[:len(task)-1]+"x"))
	}
	testenv.Eventually(t, func() bool { _, there := d.placed("logs")[gone]; return there })
	testenv.Eventually(t, func() bool { return strings.HasPrefix(d.placed("logs")[gone], "running") })
	w.sim.SetFaults(ecssim.Faults{})
	w.isReady(instances...)
	w.recorded(instances...)
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
func TestReadinessOfAFullInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	instances := w.sim.AddInstances("prod", 3)
	for n := 0; !w.full(instances[1], n); n++ {
		require.Less(t, n, 1000)
	}
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"PutAttributes": 1}})
	d := w.blox()
	d.ready()
	w.oneEach(d.deploy(d.naming("logs", "agent", "")), instances...)
	w.sim.SetFaults(ecssim.Faults{})
	w.isReady(instances[0], instances[2])
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_readiness_attributes_total", `outcome="rejected"`) == 1 })
	calls := w.sim.Calls("PutAttributes")
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	w.isReady(instances[2])
	assert.Equal(t, calls, w.sim.Calls("PutAttributes"))
}

// Who is not allowed to set attributes does not try again and again.
func TestReadinessThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var puts atomic.Int64
	w.intercept(func(action string, answer http.ResponseWriter) bool {
		if action != "PutAttributes" {
			return false
		}
		puts.Add(1)
		answer.Header().Set("Content-Type", "application/x-amz-json-1.1")
		answer.WriteHeader(http.StatusBadRequest)
		_, _ = answer.Write([]byte(`{"__type":"AccessDeniedException","message":"not authorized to perform: ecs:PutAttributes"}`))
		return true
	})
	instances := w.sim.AddInstances("prod", 2)
	d := w.blox()
	d.ready()
	d.completed("logs", d.deploy(d.naming("logs", "agent", "")))
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_readiness_attributes_total", `outcome="rejected"`) >= 2 })
	before, looks := puts.Load(), d.metric("blox_ds_environment_reconciles_total")
	testenv.Eventually(t, func() bool {
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
		return d.metric("blox_ds_environment_reconciles_total") > looks+20
	})
	assert.Equal(t, before, puts.Load())
}

// full puts one more attribute on the instance, and tells when that is refused.
func (w *world) full(instance string, n int) bool {
	name := fmt.Sprint("a", n)
	_, err := w.ecs().PutAttributes(w.t.Context(), &ecs.PutAttributesInput{Cluster: ptr("prod"), Attributes: []types.Attribute{{Name: &name, TargetId: &instance}}})
	return err != nil
}

// At rest nothing is asked, whatever happens that needs nothing done.
func TestReadinessAtRestAsksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.blox()
	d.ready()
	id := d.deploy(d.naming("logs", "agent", ""))
	w.isReady(instances...)
	w.recorded(instances...)
	d.completed("logs", id)
	testenv.Eventually(t, func() bool { return !w.openLaunches("logs") })
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

// On a draining instance the daemons stay as long as somebody else's task does, and then leave one after the other.
func TestDaemonsAreLastOnADrainingInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.blox()
	d.ready()
	last := d.deploy(d.naming("last", "agent", `,"drainOrder":2`))
	first := d.deploy(d.naming("first", "agent", `,"drainOrder":1`))
	for _, id := range []string{last, first} {
		w.oneEach(id, instances...)
	}
	w.isReady(instances...)
	work := w.startTask(instances[0], "somebody")
	require.NoError(t, w.sim.DrainInstance(instances[0]))
	testenv.Eventually(t, func() bool {
		return strings.Contains(d.placed("first")[instances[0]], "other tasks still run on it") && strings.Contains(d.placed("last")[instances[0]], "other tasks still run on it")
	})
	assert.Len(t, w.liveOn(instances[0]), 3)
	w.isReady(instances...)

	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StopTask": 1}})
	require.NoError(t, w.sim.KillTask(work, 0))
	testenv.Eventually(t, func() bool {
		return strings.Contains(d.placed("last")[instances[0]], "daemons with a lower drain order")
	})
	assert.Len(t, w.liveOn(instances[0]), 2)
	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return len(w.liveOn(instances[0])) == 0 }, "the drain does not end")
	stopped := map[string]time.Time{}
	for _, task := range w.describe(instances[0]) {
		stopped[aws.ToString(task.StartedBy)] = aws.ToTime(task.StoppedAt)
		if by := aws.ToString(task.StartedBy); by != "somebody" {
			assert.Equal(t, "blox: the instance is draining, environment "+map[string]string{first: "first", last: "last"}[by], aws.ToString(task.StoppedReason))
		}
	}
	assert.False(t, stopped[first].Before(stopped["somebody"]), "a daemon left before the work was done")
	assert.False(t, stopped[last].Before(stopped[first]), "they left in another order")
	w.isReady(instances[1])
	w.recorded(instances[1])

	require.NoError(t, w.sim.ActivateInstance(instances[0]))
	w.isReady(instances...)
	w.neverTwo()
}

// describe is all tasks that were on the instance.
func (w *world) describe(instance string) []types.Task {
	w.t.Helper()
	var arns []string
	for _, task := range w.sim.Tasks("prod") {
		if task.InstanceARN == instance {
			arns = append(arns, task.ARN)
		}
	}
	out, err := w.ecs().DescribeTasks(w.t.Context(), &ecs.DescribeTasksInput{Cluster: ptr("prod"), Tasks: arns})
	require.NoError(w.t, err)
	return out.Tasks
}

func TestReadinessAttributesAreValidated(t *testing.T) {
	t.Parallel()
	d := newWorld(t).ds(nobody)
	for _, name := range []string{strings.Repeat("a", 128), `a/b\\c-d_e.F9`, ""} {
		d.ok(http.MethodPost, "/v1/environments", `{"name":"e`+string(rune('a'+len(name)%20))+`","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent","readinessAttribute":"`+name+`"}`, nil)
	}
	for name, want := range map[string]string{
		strings.Repeat("a", 129): "should be at most 128 chars long",
		"a b":                    `should match '^[a-zA-Z0-9_.\\/-]*$'`,
		"ecs.ready":              "should not begin with ecs. or com.amazonaws., which are ECS's own",
		"com.amazonaws.ready":    "should not begin with ecs. or com.amazonaws., which are ECS's own",
	} {
		d.refused(400, "validation failure list:\nreadinessAttribute in body "+want, http.MethodPost, "/v1/environments",
			`{"name":"x","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent","readinessAttribute":"`+name+`"}`)
	}
}
