package e2e

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func (d *scheduler) awaitReady() {
	d.t.Helper()
	testenv.Eventually(d.t, func() bool {
		answer, _ := d.send(http.MethodGet, "/v1/ready", "")
		return answer.StatusCode == http.StatusOK
	})
}

// Cluster changes do not shorten the back-off of a throttled StartTask.
func TestThrottling_BacksOffDespiteChanges(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	d := w.startServices()
	d.awaitReady()
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	id := d.deploy(d.createEnvironment("logs"))
	testenv.Eventually(t, func() bool { return w.sim.Calls("StartTask") >= 3 })
	const changes = 400
	before := w.sim.Calls("StartTask")
	for range changes {
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
		testenv.Eventually(t, func() bool { return d.isConnected(instances[0]) })
	}
	assert.Less(t, w.sim.Calls("StartTask")-before, changes/4, "the calls back off")
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitOneTaskEach(id, instances...)
}

// isConnected reports whether the scheduler's cluster state shows the instance as connected.
func (d *scheduler) isConnected(instance string) bool {
	for _, i := range d.sim.Instances("prod") {
		if i.ARN == instance {
			return i.AgentConnected
		}
	}
	return false
}

// The election key is deleted while the lease lives. The former leader campaigns again.
func TestLeader_RenewsElectionAfterKeyIsDeleted(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 1)
	d := w.startServices()
	d.awaitReady()
	id := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", id)
	_, err := w.client.Delete(t.Context(), "ecs/leader/", clientv3.WithPrefix())
	require.NoError(t, err)
	w.sim.AddInstances("prod", 1)
	testenv.Eventually(t, func() bool { return len(w.liveTasks(id)) == 2 && d.leader() != "" })
}

// The cache still holds an instance that ECS does not know. Launches on the other instances are confirmed regardless.
func TestStart_UnknownInstanceDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	css, _ := w.startCSS("127.0.0.1:0")
	d := w.startScheduler(css, "--start-confirm-timeout", "1s")
	d.awaitReady()
	e := d.createEnvironment("logs")
	testenv.Eventually(t, func() bool {
		return d.isRecorded(instances[0]) && d.isRecorded(instances[1]) && d.isRecorded(instances[2])
	})
	const unknownInstance = "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/00000000000000000000000000000000"
	stored, err := w.client.Get(t.Context(), "ecs/instance/prod/"+instances[0])
	require.NoError(t, err)
	w.putRecord("ecs/instance/prod/"+unknownInstance,
		strings.ReplaceAll(string(stored.Kvs[0].Value), instances[0], unknownInstance))
	testenv.Eventually(t, func() bool {
		answer, err := http.Get("http://" + css + "/v1/instances/prod/" + unknownInstance)
		require.NoError(t, err)
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	http.DefaultClient.CloseIdleConnections()
	w.sim.SetFaults(ecssim.Faults{ServerErrors: map[string]float64{"StartTask": 1}})
	id := d.deploy(e)
	testenv.Eventually(t, func() bool { return w.sim.Calls("StartTask") >= 1 })
	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return len(w.liveTasks(id)) == 3 })
	w.assertNoDuplicates()
}

// DELETE returns once no StartTask call can be in flight: when ECS has answered the last one, or after the launch
// window, even if a wrong clock wrote a later time.
func TestDelete_WaitsOnlyForStartsInFlight(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 1)
	d := w.startServices()
	d.awaitReady()
	e := d.createEnvironment("logs")
	const latency = ecssim.Duration(500 * time.Millisecond)
	w.sim.SetFaults(ecssim.Faults{Latency: map[string]ecssim.Duration{"StartTask": latency}})
	d.deploy(e)
	testenv.Eventually(t, func() bool { return w.hasOpenLaunches("logs") })
	d.mustSend(http.MethodDelete, "/v1/environments/logs", "", nil)
	assert.Equal(t, 1, w.sim.Calls("StartTask"), "ECS has answered the call")
	assert.False(t, w.hasOpenLaunches("logs"), "the outcome is recorded although the environment was deleted")

	d.createEnvironment("ahead")
	w.putRecord("ecs/launch/ahead/arn:aws:ecs:us-east-1:123456789012:container-instance/prod/"+
		"00000000000000000000000000000000",
		`{"Deployment":"`+newDeployment+`","State":"open","NotAfter":"2099-01-01T00:00:00Z"}`)
	d.mustSend(http.MethodDelete, "/v1/environments/ahead", "", nil)
}

// The leader and a follower both shut down in time while etcd is down.
func TestReplicas_StopWithoutEtcd(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	css, _ := w.startCSS("127.0.0.1:0")
	first := w.startScheduler(css)
	testenv.Eventually(t, func() bool { return first.leader() != "" })
	second := w.startScheduler(css)
	second.awaitReady()
	w.etcd.Stop()
	second.stop()
	first.stop()
}

// While etcd is out of space, the API rejects changes with the reason and still serves reads.
func TestAPI_ReportsFullEtcd(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	full := testenv.EtcdServer(t, embedded.Options{Quota: 4 << 20})
	w.etcd, w.client = full, full.Client()
	d := w.startServices()
	d.awaitReady()
	e := d.createEnvironment("logs")
	var err error
	for n := 0; err == nil; n++ {
		_, err = w.client.Put(t.Context(), "filler/"+strconv.Itoa(n), strings.Repeat("x", 1<<20))
	}
	require.ErrorContains(t, err, "space")
	for path, body := range map[string]string{
		"/v1/environments": `{"name":"more","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`,
		"/v1/environments/logs/deployments?deploymentToken=" + e.DeploymentToken: "",
		"/v1/environments/logs/pause":                                            "",
	} {
		answer, text := d.sendValid(http.MethodPost, path, body)
		assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, path)
		assert.Equal(t, "etcd is out of space\n", text, path)
	}
	assert.Equal(t, e.DeploymentToken, d.getEnvironment("logs").DeploymentToken)
	answer, text := d.sendValid(http.MethodGet, "/v1/ready", "")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	assert.Contains(t, text, "etcd is out of space")

	deleted, err := w.client.Delete(t.Context(), "filler/", clientv3.WithPrefix())
	require.NoError(t, err)
	_, err = w.client.Compact(t.Context(), deleted.Header.Revision, clientv3.WithCompactPhysical())
	require.NoError(t, err)
	_, err = w.client.Defragment(t.Context(), full.Endpoints()[0])
	require.NoError(t, err)
	_, err = w.client.AlarmDisarm(t.Context(), &clientv3.AlarmMember{})
	require.NoError(t, err)
	d.awaitReady()
}

// etcd stops, loses its data and starts empty at the same address, while both services run. The scheduler drops the
// environments, is elected anew and runs an environment that is created afterwards.
func TestScheduler_FollowsAWipedEtcd(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	w.awaitOneTaskEach(d.deploy(d.createEnvironment("lost")), instances...)

	w.etcd.Stop()
	w.etcd.Wipe()
	w.etcd.Start()
	var list struct{ Items []models.Environment }
	testenv.Eventually(t, func() bool {
		answer, body := d.send(http.MethodGet, "/v1/environments", "")
		return answer.StatusCode == http.StatusOK && json.Unmarshal([]byte(body), &list) == nil && len(list.Items) == 0
	})
	testenv.Eventually(t, func() bool {
		_, body := d.send(http.MethodGet, "/metrics", "")
		return strings.Contains(body, "blox_ds_etcd_data_replaced_total 1")
	})
	d.awaitReady()
	w.awaitOneTaskEach(d.deploy(d.createEnvironment("logs")), instances...)
	w.assertNoDuplicates()
}

func TestScheduler_RecoversFromOutages(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	w.sim.SetDown("ecs", true)
	address, stopCSS := w.startCSS("127.0.0.1:0")
	d := w.startScheduler(address, "--start-confirm-timeout", "1s")
	w.sim.SetDown("ecs", false)
	id := d.deploy(d.createEnvironment("logs"))
	w.awaitOneTaskEach(id, instances...)

	t.Log("the cluster-state-service restarts at the same address")
	stopCSS()
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	w.startCSS(address)
	w.awaitOneTaskEach(id, instances...)

	t.Log("etcd restarts")
	w.etcd.Stop()
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	w.etcd.Start()
	w.awaitOneTaskEach(id, instances...)

	t.Log("ECS throttles every call for a while")
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"ecs": 1}})
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	calls := w.sim.Calls("StartTask")
	testenv.Eventually(t, func() bool { return w.sim.Calls("StartTask") > calls })
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitOneTaskEach(id, instances...)
	w.assertNoDuplicates()
}

// The scheduler uses any cluster-state-service that responds: the first endpoint is down, and then the second fails.
func TestScheduler_FollowsAnyClusterStateService(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 1)
	first, stop := w.startCSS("127.0.0.1:0")
	d := w.startScheduler(unusedAddress, "--css-endpoint", first)
	d.awaitReady()
	id := d.deploy(d.createEnvironment("logs"))
	w.awaitOneTaskEach(id, instances...)

	second, _ := w.startCSS("127.0.0.1:0")
	e := w.startScheduler(first, "--css-endpoint", second)
	e.awaitReady()
	d.stop()
	stop()
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	w.awaitOneTaskEach(id, instances...)
	w.assertNoDuplicates()
}
