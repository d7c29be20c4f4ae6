package e2e

import (
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
	assert.Equal(t, "running", *shown.Status, "no task runs")

	w.sim.SetFaults(ecssim.Faults{})
	d.awaitCompleted("logs", id)
	w.awaitOneTaskEach(id, instance)
	testenv.Eventually(t, func() bool { return *d.getEnvironment("logs").Health == "healthy" })
	assert.Empty(t, d.getDeployment("logs", id).FailedInstances)
	assert.Equal(t, 2, w.sim.Calls("StartTask"))
}

func TestThrottling_CountsAsNoFailure(t *testing.T) {
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

// ECS loses StartTask responses before or after it starts the tasks. No instance gets another task until the scheduler
// has confirmed the outcome. The cases run at the same time, each on its own system.
func TestStart_LostResponsesCauseNoDuplicates(t *testing.T) {
	t.Parallel()
	type lost struct {
		*scheduler
		name, id  string
		instances []string
	}
	var cases []lost
	for name, faults := range map[string]ecssim.Faults{
		"lost after the start": {LostResponses: map[string]float64{"StartTask": 1},
			Events: ecssim.EventFaults{Delay: 1, DelayBy: ecssim.Duration(3 * time.Second)}},
		"error before the start": {ServerErrors: map[string]float64{"StartTask": 1}},
		"error after the start":  {LateServerErrors: map[string]float64{"StartTask": 1}},
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
		cases = append(cases, c)
	}
	for _, c := range cases {
		t.Log(c.name)
		c.awaitOneTaskEach(c.id, c.instances...)
		c.awaitCompleted("logs", c.id)
		assert.Empty(t, c.getDeployment("logs", c.id).FailedInstances)
		testenv.Eventually(t, func() bool { return !c.hasOpenLaunches("logs") }, "open launches remain")
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
	assert.EqualValues(t, "unhealthy", *d.getEnvironment("logs").Health)
	assert.Equal(t, 1, w.sim.Calls("StartTask"), "the retry waits for the back-off")
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

// A user may have stopped a task that exits, so the scheduler replaces it at once the first time. Further exits back
// off, even though the task runs for a moment in between.
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
	assert.Equal(t, 2, w.sim.Calls("StartTask"), "the third attempt waits for the back-off")
	assert.Equal(t, "STOPPED", launch.Reason)
	assert.Equal(t, 10*time.Second, launch.NextAttemptAt.Sub(launch.NotAfter))
	testenv.Eventually(t, func() bool { return *d.getEnvironment("logs").Health == "unhealthy" })
	assert.Equal(t, []string{instance}, d.getDeployment("logs", id).FailedInstances)
}

// A scheduler crashed right after StartTask and left open launches. Its successor finds the task that was started.
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
