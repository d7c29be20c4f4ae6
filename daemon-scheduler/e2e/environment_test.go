package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestEnvironment_RunsOneTaskOnEachInstance(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	require.NoError(t, w.sim.DrainInstance(instances[2]))
	outside := w.sim.AddInstances("other", 1)
	d := w.startServices()
	e := d.createEnvironment("logs")
	id := d.deploy(e)

	d.awaitCompleted("logs", id)
	w.awaitOneTaskEach(id, instances[:2]...)
	assert.Equal(t, 2, w.sim.Calls("StartTask"), "one call tries the deployment, one starts the rest")
	assert.EqualValues(t, "healthy", *d.getEnvironment("logs").Health)

	added := w.sim.AddInstances("prod", 1)[0]
	w.awaitOneTaskEach(id, instances[0], instances[1], added)

	killed := w.liveTasks(id)[instances[0]][0]
	require.NoError(t, w.sim.KillTask(killed.ARN, 1))
	w.awaitOneTaskEach(id, instances[0], instances[1], added)
	assert.NotEqual(t, killed.ARN, w.liveTasks(id)[instances[0]][0].ARN)

	require.NoError(t, w.sim.RemoveInstance(instances[1]))
	w.awaitOneTaskEach(id, instances[0], added)
	testenv.Eventually(t, func() bool {
		return len(w.launchKeys()) == 2
	}, "the launch of the removed instance remains")

	require.NoError(t, w.sim.ActivateInstance(instances[2]))
	w.awaitOneTaskEach(id, instances[0], instances[2], added)

	d.mustSend("DELETE", "/v1/environments/logs", "", nil)
	testenv.Eventually(t, func() bool { return len(w.launchKeys()) == 0 }, "launches remain")
	w.awaitOneTaskEach(id, instances[0], instances[2], added)
	for _, task := range w.sim.Tasks("other") {
		assert.NotEqual(t, outside[0], task.InstanceARN)
	}
	w.assertNoDuplicates()
}

func TestEnvironments_AreIndependent(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startServices()
	instances := w.sim.AddInstances("prod", 2)
	logs, metrics := d.createEnvironment("logs"), d.createEnvironment("metrics")
	logsID, metricsID := d.deploy(logs), d.deploy(metrics)
	w.awaitOneTaskEach(logsID, instances...)
	w.awaitOneTaskEach(metricsID, instances...)
	w.assertNoDuplicates()
}

// The launch is open, as while another replica calls StartTask.
func TestDelete_WaitsForOpenLaunches(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instance := w.sim.AddInstances("prod", 1)[0]
	d := w.startScheduler(unusedAddress)
	d.createEnvironment("logs")
	notAfter := time.Now().Add(time.Second)
	w.putRecord("ecs/launch/logs/"+instance, `{"Deployment":"`+newDeployment+`","State":"open","NotAfter":"`+
		notAfter.Format(time.RFC3339Nano)+`"}`)
	d.mustSend("DELETE", "/v1/environments/logs", "", nil)
	assert.False(t, time.Now().Before(notAfter), "a task may still be started")
}

func TestPause_HoldsStartsUntilResume(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 1)
	d := w.startServices()
	id := d.deploy(d.createEnvironment("logs"))
	w.awaitOneTaskEach(id, instances...)
	d.awaitCompleted("logs", id)
	for range 2 {
		var e models.Environment
		d.mustSend("POST", "/v1/environments/logs/pause", "", &e)
		assert.True(t, e.Paused)
		assert.Equal(t, "paused", e.Status)
	}
	calls := w.sim.Calls("StartTask")
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	testenv.Eventually(t, func() bool { return len(d.instanceStatuses("logs")) == 2 })
	assert.Equal(t, "missing: The environment is paused.", d.instanceStatuses("logs")[instances[1]])
	assert.Equal(t, calls, w.sim.Calls("StartTask"))
	d.mustSend("POST", "/v1/environments/logs/resume", "", nil)
	w.awaitOneTaskEach(id, instances...)
}

// instanceStatuses returns the state and reason of each instance.
func (d *scheduler) instanceStatuses(name string) map[string]string {
	d.t.Helper()
	var list models.EnvironmentInstances
	d.mustSend("GET", "/v1/environments/"+name+"/instances", "", &list)
	statuses := map[string]string{}
	for _, i := range list.Items {
		statuses[*i.ContainerInstance] = strings.TrimSuffix(*i.State+": "+i.Reason, ": ")
	}
	return statuses
}

func TestDelete_StopsTasks(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	d := w.startServices("--start-confirm-timeout", "1s")
	e := d.createEnvironment("logs")
	id := d.deploy(e)
	testenv.Eventually(t, func() bool { return len(w.liveTasks(id)) > 0 }, "no task starts") // other starts may follow
	foreign := w.startTask(instances[0], "another-scheduler")
	d.mustSend("DELETE", "/v1/environments/logs?stopTasks=true", "", nil)
	testenv.Eventually(t, func() bool {
		answer, _ := d.send("GET", "/v1/environments/logs", "")
		return answer.StatusCode == http.StatusNotFound
	})
	assert.Empty(t, w.liveTasks(id))
	testenv.Eventually(t, func() bool { return len(w.launchKeys()) == 0 }, "launches remain")
	for _, task := range w.sim.Tasks("prod") {
		if task.ARN == foreign {
			assert.True(t, task.Live())
		} else {
			assert.Equal(t, "blox: deleted environment logs", task.StoppedReason)
		}
	}
	d.createEnvironment("logs") // the name is free
}

func (w *system) setAttribute(instance, name, value string) {
	w.t.Helper()
	_, err := w.ecs().PutAttributes(w.t.Context(),
		&ecs.PutAttributesInput{Cluster: conv.Pointer("prod"), Attributes: []types.Attribute{
			{Name: &name, Value: &value, TargetId: &instance, TargetType: types.TargetTypeContainerInstance},
		}})
	require.NoError(w.t, err)
}

func TestInstanceGroup_StopsTasksThatNoLongerMatch(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	w.setAttribute(instances[0], "zone", "a")
	w.setAttribute(instances[1], "zone", "b")
	d := w.startServices()
	var e models.Environment
	d.mustSend("POST", "/v1/environments",
		`{"name":"logs","taskDefinition":"agent","instanceGroup":{"cluster":"prod","query":"attribute:zone in [a, b]"}}`, &e)
	assert.Equal(t, "attribute:zone in [a, b]", e.InstanceGroup.Query)
	id := d.deploy(e)
	w.awaitOneTaskEach(id, instances[:2]...)
	d.awaitCompleted("logs", id)
	assert.Equal(t, "excluded: The instance does not match the instance group.", d.instanceStatuses("logs")[instances[2]])
	assert.EqualValues(t, 2, *d.getEnvironment("logs").DesiredCount)

	narrower := d.deploy(d.patch("logs", `{"instanceGroup":{"query":null,"attributes":[{"name":"zone","value":"b"}]}}`))
	d.awaitCompleted("logs", narrower)
	w.awaitOneTaskEach(id, instances[1]) // the deployment keeps the equal task
	testenv.Eventually(t, func() bool {
		return len(w.sim.Tasks("prod")) > 0 && len(w.liveTasksOn(instances[0])) == 0
	}, "the instance keeps its task")
	reasons := map[string]bool{}
	for _, task := range w.sim.Tasks("prod") {
		if task.InstanceARN == instances[0] {
			reasons[task.StoppedReason] = true
		}
	}
	assert.Contains(t, reasons, "blox: the instance does not match environment logs")
	w.assertNoDuplicates()
}

func (w *system) liveTasksOn(instance string) (live []ecssim.Task) {
	for _, task := range w.sim.Tasks("prod") {
		if task.InstanceARN == instance && task.Live() {
			live = append(live, task)
		}
	}
	return live
}

func TestTaskSettings_ApplyToTasks(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instance := w.sim.AddInstances("prod", 1)[0]
	d := w.startServices()
	id := d.deploy(func() (e models.Environment) {
		d.mustSend("POST", "/v1/environments", `{"name":"logs","taskDefinition":"agent","instanceGroup":{"cluster":"prod"},
			"taskSettings":{"group":"daemons","enableExecuteCommand":true,"tags":[{"key":"team","value":"a"}],
			"overrides":{"containerOverrides":[{"name":"agent","environment":[{"name":"LEVEL","value":"debug"}]}]}}}`, &e)
		assert.Equal(t, "debug", e.TaskSettings.Overrides.ContainerOverrides[0].Environment[0].Value)
		return e
	}())
	w.awaitOneTaskEach(id, instance)
	arn := w.liveTasks(id)[instance][0].ARN
	out, err := w.ecs().DescribeTasks(t.Context(),
		&ecs.DescribeTasksInput{
			Cluster: conv.Pointer("prod"), Tasks: []string{arn}, Include: []types.TaskField{types.TaskFieldTags},
		})
	require.NoError(t, err)
	require.Len(t, out.Tasks, 1)
	assert.Equal(t, "daemons", *out.Tasks[0].Group)
	assert.True(t, out.Tasks[0].EnableExecuteCommand)
	assert.Equal(t, "team", *out.Tasks[0].Tags[0].Key)
	assert.Equal(t, "debug", *out.Tasks[0].Overrides.ContainerOverrides[0].Environment[0].Value)
}

// Other programs may write to etcd. The API returns and deletes every environment that the engine manages.
func TestEnvironment_WithInvalidNameCanBeReadAndDeleted(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 1)
	name := "a name with spaces, and longer than thirty characters"
	w.putRecord("ecs/environment/"+name, `{"Token":"0b0a9e39-5d7b-4fd7-9b3e-0d2d2b4e5a11","DesiredTaskDefinition":"`+
		w.agent+`","Cluster":"`+prod+`","Deployments":{}}`)
	d := w.startServices()
	d.awaitReady()
	path := "/v1/environments/" + url.PathEscape(name)
	for _, read := range []string{path, path + "/deployments", path + "/revisions", path + "/instances"} {
		d.mustSend("GET", read, "", nil)
	}
	f := d.openStream("/v1/stream" + strings.TrimPrefix(path, "/v1") + "/instances")
	f.await(t, func() bool { return len(f.instances) == 1 && len(f.states) > 0 })
	d.mustSend("DELETE", path, "", nil)
	answer, _ := d.sendValid("GET", path, "")
	assert.Equal(t, http.StatusNotFound, answer.StatusCode)
	answer, body := d.sendValid("POST", "/v1/environments", `{"name":"`+name+
		`","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`)
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode, body)
}

func TestListEnvironments_FiltersByType(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 1)
	d := w.startServices()
	d.createEnvironment("logs")
	var list models.Environments
	d.mustSend("GET", "/v1/environments?environmentType=DAEMON&cluster=prod", "", &list)
	require.Len(t, list.Items, 1)
	assert.Equal(t, "DAEMON", list.Items[0].EnvironmentType)
	answer, body := d.send("GET", "/v1/environments?environmentType=SERVICE", "")
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
	assert.Contains(t, body, `Invalid environmentType "SERVICE": must be DAEMON`)
	answer, body = d.send("POST", "/v1/environments", `{"name":"web","environmentType":"SERVICE",`+
		`"instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`)
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
	assert.Contains(t, body, "environmentType in body should be one of [DAEMON]")
}
