package e2e

import (
	"context"
	stdjson "encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestEnvironment_FollowsInstances(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	require.NoError(t, w.sim.DrainInstance(instances[2]))
	elsewhere := w.sim.AddInstances("other", 1)
	d := w.startServices()
	e := d.createEnvironment("logs")
	id := d.deploy(e)

	d.awaitCompleted("logs", id)
	w.awaitOneTaskEach(id, instances[:2]...)
	assert.Equal(t, 1, w.sim.Calls("StartTask"), "one call for all instances")
	assert.Equal(t, "healthy", *d.getEnvironment("logs").Health)

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
	}, "the launch of an instance that left stays")

	require.NoError(t, w.sim.ActivateInstance(instances[2]))
	w.awaitOneTaskEach(id, instances[0], instances[2], added)

	d.mustSend("DELETE", "/v1/environments/logs", "", nil)
	testenv.Eventually(t, func() bool { return len(w.launchKeys()) == 0 }, "launches stay behind")
	w.awaitOneTaskEach(id, instances[0], instances[2], added)
	for _, task := range w.sim.Tasks("other") {
		assert.NotEqual(t, elsewhere[0], task.InstanceARN)
	}
	w.assertNoDuplicates()
}

// launchKeys returns the keys of the launch records of the environment logs.
func (w *system) launchKeys() (keys []string) {
	w.t.Helper()
	got, err := w.client.Get(w.t.Context(), "ecs/launch/logs/", clientv3.WithPrefix())
	require.NoError(w.t, err)
	for _, kv := range got.Kvs {
		keys = append(keys, string(kv.Key))
	}
	return keys
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

func TestDeployment_CompletesOnEmptyCluster(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startServices()
	d.awaitCompleted("logs", d.deploy(d.createEnvironment("logs")))
	assert.Zero(t, w.sim.Calls("StartTask"))
}

func TestDeployment_WaitsForDisconnectedInstances(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	require.NoError(t, w.sim.SetAgentConnected(instances[1], false))
	d := w.startServices()
	id := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", id)
	w.awaitOneTaskEach(id, instances[0])
	assert.Empty(t, d.getDeployment("logs", id).FailedInstances)
	require.NoError(t, w.sim.SetAgentConnected(instances[1], true))
	w.awaitOneTaskEach(id, instances...)
	w.assertNoDuplicates()
}

func TestScheduler_StopsDuplicatesAndKeepsForeignTasks(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instance := w.sim.AddInstances("prod", 1)[0]
	d := w.startServices()
	id := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", id)
	kept := w.liveTasks(id)[instance][0]

	w.startTask(instance, "another-scheduler")
	surplus := w.startTask(instance, id)
	w.awaitOneTaskEach(id, instance)
	assert.Equal(t, kept.ARN, w.liveTasks(id)[instance][0].ARN, "the oldest one is kept")
	assert.Len(t, w.liveTasks("another-scheduler"), 1, "tasks of others are left alone")
	testenv.Eventually(t, func() bool {
		return slices.ContainsFunc(w.sim.Tasks("prod"), func(task ecssim.Task) bool {
			return task.ARN == surplus && task.StoppedReason == "blox: duplicate task of environment logs"
		})
	}, "the reason is not reported")
}

func TestDeployment_ReplacesDeploymentOfV03(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	second := w.sim.RegisterTaskDefinition("agent")
	for _, instance := range instances {
		w.startTask(instance, oldDeployment)
	}
	record := strings.ReplaceAll(completedRecord("logs", "prod", w.agent), "arn:i1", instances[0])
	w.putRecord("ecs/environment/logs", record)
	d := w.startServices()
	testenv.Eventually(t, func() bool {
		return *d.getEnvironment("logs").Health == "healthy"
	}, "what v0.3 noted as failed is not over")
	assert.Empty(t, d.getDeployment("logs", oldDeployment).FailedInstances)
	w.awaitOneTaskEach(oldDeployment, instances...)
	assert.Zero(t, w.sim.Calls("StopTask"))

	// What an update will do: a new task definition, and a token for the next deployment.
	got, err := w.client.Get(t.Context(), "ecs/environment/logs")
	require.NoError(t, err)
	assert.Contains(t, string(got.Kvs[0].Value), `"Later":{"kept":true}`)
	changed := strings.Replace(string(got.Kvs[0].Value), `"Token":"`+usedToken, `"Token":"`+unusedToken, 1)
	changed = strings.Replace(changed, `"DesiredTaskDefinition":"`+w.agent, `"DesiredTaskDefinition":"`+second, 1)
	require.True(t, stdjson.Valid([]byte(changed)))
	w.putRecord("ecs/environment/logs", changed)
	id := d.deploy(d.getEnvironment("logs"))
	d.awaitCompleted("logs", id)
	w.awaitOneTaskEach(id, instances...)
	assert.Empty(t, w.liveTasks(oldDeployment))
	for _, task := range w.sim.Tasks("prod") {
		if task.StartedBy == oldDeployment {
			assert.Equal(t, "blox: superseded task of environment logs", task.StoppedReason)
		} else {
			assert.Equal(t, second, task.TaskDefinitionARN)
		}
	}
	assert.Equal(t, 1, w.sim.Counters().PeakByFamily["agent"], "old and new lived together")
	w.assertNoDuplicates()
}

func TestStart_ListsAndRetriesFailures(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instance := w.sim.AddInstances("prod", 1)[0]
	w.sim.SetFaults(ecssim.Faults{StartFailures: 1, StartFailureReason: "RESOURCE:PORTS"})
	d := w.startServices()
	id := d.deploy(d.createEnvironment("logs"))
	testenv.Eventually(t, func() bool { return *d.getEnvironment("logs").Health == "unhealthy" })
	shown := d.getDeployment("logs", id)
	assert.Equal(t, []string{instance}, shown.FailedInstances)
	assert.Equal(t, "running", *shown.Status, "nothing runs")

	w.sim.SetFaults(ecssim.Faults{})
	d.awaitCompleted("logs", id)
	w.awaitOneTaskEach(id, instance)
	testenv.Eventually(t, func() bool { return *d.getEnvironment("logs").Health == "healthy" })
	assert.Empty(t, d.getDeployment("logs", id).FailedInstances)
	assert.Equal(t, 2, w.sim.Calls("StartTask"))
}

func TestThrottling_IsNoFailure(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	d := w.startServices()
	id := d.deploy(d.createEnvironment("logs"))
	testenv.Eventually(t, func() bool { return w.sim.Calls("StartTask") >= 3 })
	assert.Empty(t, d.getDeployment("logs", id).FailedInstances)
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitOneTaskEach(id, instances...)
	w.assertNoDuplicates()
}

// TestStart_LostResponsesCauseNoDuplicates loses answers after the deed and before it. The instance is occupied until
// it is certain what happened, in every case's own world at the same time.
func TestStart_LostResponsesCauseNoDuplicates(t *testing.T) {
	t.Parallel()
	type lost struct {
		*scheduler
		name, id  string
		instances []string
	}
	var all []lost
	for name, faults := range map[string]ecssim.Faults{
		"after the deed": {LostResponses: map[string]float64{"StartTask": 1},
			Events: ecssim.EventFaults{Delay: 1, DelayBy: ecssim.Duration(3 * time.Second)}},
		"before the deed":  {ServerErrors: map[string]float64{"StartTask": 1}},
		"500 for the deed": {LateServerErrors: map[string]float64{"StartTask": 1}},
	} {
		w := newSystem(t)
		c := lost{name: name, instances: w.sim.AddInstances("prod", 3),
			scheduler: w.startServices("--start-confirm-timeout", "1s")}
		e := c.createEnvironment("logs")
		testenv.Eventually(t, func() bool { answer, _ := c.send("GET", "/v1/ready", ""); return answer.StatusCode == 200 })
		w.sim.SetFaults(faults)
		c.id = c.deploy(e)
		testenv.Eventually(t, func() bool { return w.sim.Calls("StartTask") == 1 })
		w.sim.SetFaults(ecssim.Faults{})
		all = append(all, c)
	}
	for _, c := range all {
		t.Log(c.name)
		c.awaitOneTaskEach(c.id, c.instances...)
		c.awaitCompleted("logs", c.id)
		assert.Empty(t, c.getDeployment("logs", c.id).FailedInstances)
		testenv.Eventually(t, func() bool { return !c.hasOpenLaunches("logs") }, "launches stay open")
		c.awaitOneTaskEach(c.id, c.instances...)
		c.assertNoDuplicates()
	}
}

func (w *system) hasOpenLaunches(name string) bool {
	got, err := w.client.Get(w.t.Context(), "ecs/launch/"+name+"/", clientv3.WithPrefix())
	require.NoError(w.t, err)
	return slices.ContainsFunc(got.Kvs,
		func(kv *mvccpb.KeyValue) bool { return strings.Contains(string(kv.Value), `"State":"open"`) })
}

func TestCrashLoop_BacksOffBeforeRunning(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instance := w.sim.AddInstances("prod", 1)[0]
	w.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"agent": 1}})
	d := w.startServices()
	id := d.deploy(d.createEnvironment("logs"))
	testenv.Eventually(t, func() bool { return len(d.getDeployment("logs", id).FailedInstances) == 1 })
	assert.Equal(t, []string{instance}, d.getDeployment("logs", id).FailedInstances)
	assert.Equal(t, "running", *d.getDeployment("logs", id).Status)
	assert.Equal(t, "unhealthy", *d.getEnvironment("logs").Health)
	assert.Equal(t, 1, w.sim.Calls("StartTask"), "it is not tried again at once")
	got, err := w.client.Get(t.Context(), "ecs/launch/logs/"+instance)
	require.NoError(t, err)
	var launch struct {
		State, Reason           string
		NotAfter, NextAttemptAt time.Time
	}
	require.NoError(t, stdjson.Unmarshal(got.Kvs[0].Value, &launch))
	assert.Equal(t, "failed", launch.State)
	assert.Equal(t, "STOPPED", launch.Reason)
	assert.Equal(t, 10*time.Second, launch.NextAttemptAt.Sub(launch.NotAfter))
}

// A daemon that runs for a moment and dies is replaced at once the first time, as a user may have stopped it, and
// then later and later; that it runs in between does not count.
func TestCrashLoop_BacksOffAfterRunning(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instance := w.sim.AddInstances("prod", 1)[0]
	w.sim.SetFaults(ecssim.Faults{Exits: map[string]ecssim.Exit{"agent": {Fraction: 1,
		After: ecssim.Duration(50 * time.Millisecond), ExitCode: 1}}})
	d := w.startServices()
	id := d.deploy(d.createEnvironment("logs"))
	var launch struct {
		State, Reason           string
		Attempts                int
		NotAfter, NextAttemptAt time.Time
	}
	testenv.Eventually(t, func() bool {
		got, err := w.client.Get(t.Context(), "ecs/launch/logs/"+instance)
		require.NoError(t, err)
		return len(got.Kvs) == 1 && stdjson.Unmarshal(got.Kvs[0].Value, &launch) == nil && launch.State == "failed" &&
			launch.Attempts == 2
	})
	assert.Equal(t, 2, w.sim.Calls("StartTask"), "it is not tried a third time at once")
	assert.Equal(t, "STOPPED", launch.Reason)
	assert.Equal(t, 10*time.Second, launch.NextAttemptAt.Sub(launch.NotAfter))
	testenv.Eventually(t, func() bool { return *d.getEnvironment("logs").Health == "unhealthy" })
	assert.Equal(t, []string{instance}, d.getDeployment("logs", id).FailedInstances)
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

	t.Log("the cluster-state-service goes, and returns at the same address")
	stopCSS()
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	w.startCSS(address)
	w.awaitOneTaskEach(id, instances...)

	t.Log("etcd goes and returns")
	w.etcd.Stop()
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	w.etcd.Start()
	w.awaitOneTaskEach(id, instances...)

	t.Log("ECS goes and returns")
	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"ecs": 1}})
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	calls := w.sim.Calls("StartTask")
	testenv.Eventually(t, func() bool { return w.sim.Calls("StartTask") > calls })
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitOneTaskEach(id, instances...)
	w.assertNoDuplicates()
}

// Of two cluster-state-services one is not there, and then the other one goes: whichever answers is followed.
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

func TestReplicas_TakeOver(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 1)
	css, _ := w.startCSS("127.0.0.1:0")
	first := w.startScheduler(css)
	testenv.Eventually(t, func() bool { return first.leader() != "" })
	second := w.startScheduler(css)
	testenv.Eventually(t, func() bool { return second.leader() == first.leader() })
	id := second.deploy(second.createEnvironment("logs"))
	w.awaitOneTaskEach(id, instances...)

	leader := first.leader()
	first.stop()
	instances = append(instances, w.sim.AddInstances("prod", 1)...)
	w.awaitOneTaskEach(id, instances...)
	testenv.Eventually(t, func() bool { return second.leader() != "" && second.leader() != leader })
	w.assertNoDuplicates()
}

func (d *scheduler) leader() string {
	_, body := d.sendValid("GET", "/v1/ready", "")
	var ready struct{ Leader string }
	require.NoError(d.t, stdjson.Unmarshal([]byte(body), &ready))
	return ready.Leader
}

// TestScheduler_MakesNoECSCallsAtRest puts a mark in etcd's revision and ECS's counters, lets another environment
// come about, and sees that the first one caused nothing.
func TestScheduler_MakesNoECSCallsAtRest(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	id := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", id)
	testenv.Eventually(t, func() bool { return !w.hasOpenLaunches("logs") })
	calls := func() (n int) {
		for _, action := range []string{"StartTask", "StopTask", "ListTasks", "DescribeTasks", "DescribeClusters",
			"DescribeTaskDefinition"} {
			n += w.sim.Calls(action)
		}
		return n
	}
	before := calls()
	events := w.sim.Counters().Events
	for range 20 { // the agent drops by design; nothing is to be done about it
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
	}
	testenv.Eventually(t, func() bool { return w.sim.Counters().Events != events && d.isRecorded(instances[0]) })
	assert.Equal(t, before, calls())
	w.awaitOneTaskEach(id, instances...)
}

// isRecorded reports whether the instance's record in etcd equals the simulator's.
func (d *scheduler) isRecorded(instance string) bool {
	id := instance[strings.LastIndex(instance, "/")+1:]
	ctx, cancel := context.WithTimeout(d.t.Context(), 5*time.Second)
	defer cancel()
	got, err := d.client.Get(ctx, "ecs/instance/prod/", clientv3.WithPrefix())
	require.NoError(d.t, err)
	for _, i := range d.sim.Instances("prod") {
		if i.ARN != instance {
			continue
		}
		for _, kv := range got.Kvs {
			var record struct{ Detail struct{ Version int64 } }
			if strings.Contains(string(kv.Key), id) && stdjson.Unmarshal(kv.Value, &record) == nil &&
				record.Detail.Version == i.Version {
				return true
			}
		}
	}
	return false
}

func TestDeploymentHistory_IsBounded(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.putRecord("ecs/environment/logs", strings.Replace(inProgressRecord(w.agent), `"busy"`, `"logs"`, 1))
	d := w.startServices("--deployment-history", "1")
	testenv.Eventually(t, func() bool {
		_, body := d.sendValid("GET", "/v1/environments/logs/deployments", "")
		return strings.Contains(body, `"completed"`) && !strings.Contains(body, oldDeployment)
	})
}

// TestDelete_WaitsForOpenLaunches leaves a launch open as a replica would that calls StartTask at this moment.
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

// TestStart_ResolvesOpenLaunchesAfterCrash finds what a process leaves behind that dies right after its StartTask.
func TestStart_ResolvesOpenLaunchesAfterCrash(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	w.putRecord("ecs/environment/logs", strings.Replace(inProgressRecord(w.agent), `"busy"`, `"logs"`, 1))
	for _, instance := range instances {
		w.putRecord("ecs/launch/logs/"+instance, `{"Deployment":"`+newDeployment+`","State":"open","Attempts":1,"NotAfter":"`+
			time.Now().Add(time.Second).Format(time.RFC3339Nano)+`","Later":1}`)
	}
	task := w.startTask(instances[0], newDeployment)
	d := w.startServices("--start-confirm-timeout", "1s")
	d.awaitCompleted("logs", newDeployment)
	w.awaitOneTaskEach(newDeployment, instances...)
	assert.Equal(t, task, w.liveTasks(newDeployment)[instances[0]][0].ARN)
	testenv.Eventually(t, func() bool { return !w.hasOpenLaunches("logs") })
	w.assertNoDuplicates()
}
