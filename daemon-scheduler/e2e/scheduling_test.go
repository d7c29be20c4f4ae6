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
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

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
	w.awaitOneTaskEach(id, instances[0])
	testenv.Eventually(t, func() bool {
		counted := d.getDeployment("logs", id)
		return counted.RunningCount != nil && *counted.RunningCount == 1
	})
	unsettled := d.getDeployment("logs", id)
	assert.Empty(t, unsettled.FailedInstances)
	assert.Equal(t, "IN_PROGRESS", unsettled.RolloutState, "the disconnected instance shows nothing")
	require.NoError(t, w.sim.SetAgentConnected(instances[1], true))
	d.awaitCompleted("logs", id)
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
	duplicate := w.startTask(instance, id)
	w.awaitOneTaskEach(id, instance)
	assert.Equal(t, kept.ARN, w.liveTasks(id)[instance][0].ARN, "the oldest task is kept")
	assert.Len(t, w.liveTasks("another-scheduler"), 1, "tasks of other schedulers keep running")
	testenv.Eventually(t, func() bool {
		return slices.ContainsFunc(w.sim.Tasks("prod"), func(task ecssim.Task) bool {
			return task.ARN == duplicate && task.StoppedReason == "blox: duplicate task of environment logs"
		})
	}, "the duplicate is not stopped with the reason")
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
	}, "the failures in v0.3's record remain")
	assert.Empty(t, d.getDeployment("logs", oldDeployment).FailedInstances)
	w.awaitOneTaskEach(oldDeployment, instances...)
	assert.Zero(t, w.sim.Calls("StopTask"))

	// As an update does, set a new task definition and a new token.
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
	assert.Equal(t, 1, w.sim.Counters().PeakByFamily["agent"], "an old and a new task ran on one instance")
	w.assertNoDuplicates()
}

// Agents disconnect and reconnect in normal operation. The scheduler has nothing to do and makes no calls.
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
	for range 20 {
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

// isTaskRunning reports whether the task's record in etcd is RUNNING.
func (d *scheduler) isTaskRunning(task string) bool {
	ctx, cancel := context.WithTimeout(d.t.Context(), 5*time.Second)
	defer cancel()
	got, err := d.client.Get(ctx, "ecs/task/prod/", clientv3.WithPrefix())
	require.NoError(d.t, err)
	for _, kv := range got.Kvs {
		var record struct{ Detail struct{ LastStatus string } }
		if strings.HasSuffix(string(kv.Key), task) && stdjson.Unmarshal(kv.Value, &record) == nil {
			return record.Detail.LastStatus == "RUNNING"
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
