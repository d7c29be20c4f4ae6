package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestIngest_StateFollowsQueue(t *testing.T) {
	for name, cfg := range map[string]ecssim.Config{
		"long ARNs":  {},
		"short ARNs": {ShortARNs: true},
		"duplicated, reordered and delayed": {Seed: 1, Faults: ecssim.Faults{Events: ecssim.EventFaults{
			Duplicate: 0.3, Reorder: 0.3, Delay: 0.1, DelayBy: ecssim.Duration(20e6),
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSystem(t, cfg)
			c := w.start().ready()
			definition := w.sim.RegisterTaskDefinition("agent")
			instances := w.sim.AddInstances("default", 3)
			other := w.sim.AddInstances("other", 2)
			tasks := w.startTasks(definition, instances...)
			w.sim.StartFargateTask("other", "web")
			require.NoError(t, w.sim.KillTask(tasks[0], 0))
			require.NoError(t, w.sim.DrainInstance(instances[1]))
			require.NoError(t, w.sim.RemoveInstance(other[0]))
			c.awaitConvergence()
			assert.Len(t, c.served(), 3+2+3+1)

			_, body := c.get("/v1/tasks/default/" + tasks[0])
			assert.Contains(t, body, `"exitCode":0`)
			assert.Contains(t, body, `"stoppedReason":"Essential container in task exited"`)
		})
	}
}

// Replicas share a stream. A restarted replica continues at the checkpoint.
func TestIngest_StateFollowsKinesisStream(t *testing.T) {
	w := newSystem(t, ecssim.Config{StreamName: "events", StreamShards: 2})
	one := w.startWithStream().ready()
	two := w.startWithStream().ready()
	definition := w.sim.RegisterTaskDefinition("agent")
	instances := w.sim.AddInstances("default", 3)
	tasks := w.startTasks(definition, instances...)
	one.awaitConvergence()
	two.awaitConvergence()
	one.stop()
	require.NoError(t, w.sim.KillTask(tasks[0], 1))
	two.awaitConvergence()
	two.stop()

	w.sim.SetDown("ecs", true) // only the stream can report it now
	require.NoError(t, w.sim.KillTask(tasks[1], 1))
	w.startWithStream().ready().awaitConvergence()
	assert.Zero(t, w.sim.Calls("ReceiveMessage"))
}

func TestIngest_SkipsMalformedMessages(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	w.sendMessage(string(testenv.Event(t, "broken.txt")))
	w.sendMessage(string(testenv.Event(t, "service-action.json")))
	w.sendMessage("{}")
	for name := range testenv.Events(t) {
		if name != "broken.txt" && name != "service-action.json" {
			w.sendMessage(string(testenv.Event(t, name)))
		}
	}
	testenv.Eventually(t, func() bool { return len(c.served()) == 5 })
	assert.Equal(t, "STOPPED", c.served()[runningTask], "the newer version, in whatever order")
	assert.Equal(t, "DRAINING", c.served()[instance])
	// Stored and ignored messages are deleted. Undecodable ones stay for the redrive policy.
	testenv.Eventually(t, func() bool { return w.messageCount() == 2 })
}

// An event that changes nothing keeps the entity version.
func TestIngest_RepeatedEventKeepsVersion(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	w.sendMessage(string(testenv.Event(t, "task-ec2-stopped.json")))
	testenv.Eventually(t, func() bool { return c.served()[runningTask] == "STOPPED" })
	_, before := c.get("/v1/tasks/prod/" + runningTask)
	w.sendMessage(string(testenv.Event(t, "task-ec2-running.json")))
	w.sendMessage(string(testenv.Event(t, "task-ec2-stopped.json", `"stoppedReason": "`, `"stoppedReason": "another `)))
	w.sendMessage(string(testenv.Event(t, "instance-active.json")))
	testenv.Eventually(t, func() bool { return c.served()[instance] == "ACTIVE" })
	testenv.Eventually(t, func() bool { return w.messageCount() == 0 })
	_, after := c.get("/v1/tasks/prod/" + runningTask)
	assert.Equal(t, before, after)
}

// A stopping service leaves uncommitted messages in the queue.
func TestIngest_KeepsUncommittedMessages(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	c := w.start().ready()
	w.etcd.Stop()
	received := w.sim.Calls("ReceiveMessage")
	for range 5 {
		w.sendMessage(string(testenv.Event(t, "task-ec2-running.json")))
	}
	testenv.Eventually(t, func() bool { return w.sim.Calls("ReceiveMessage") > received }, "nothing was received")
	c.stop()
	assert.Equal(t, 5, w.messageCount())
}

// Of 50,000 events (10,000 under the race detector), a fifth arrives twice and a fifth late. The store still ends up
// with the simulator's versions, without the help of a reconciliation.
func TestIngest_ConvergesAfterDisorderedEvents(t *testing.T) {
	w := newSystem(t, ecssim.Config{Seed: 7})
	c := w.start().ready() // the first reconciliation finds nothing, and the next is 20 minutes away
	w.sim.SetFaults(ecssim.Faults{Events: ecssim.EventFaults{Duplicate: 0.2, Reorder: 0.2}})
	definition := w.sim.RegisterTaskDefinition("agent")
	instances := w.sim.AddInstances("default", 100)
	events := 50_000
	if testenv.RaceEnabled {
		events = 10_000
	}
	for w.sim.Counters().Events.Sent < events {
		for from := 0; from < len(instances); from += 10 {
			for _, task := range w.startTasks(definition, instances[from:from+10]...) {
				require.NoError(t, w.sim.KillTask(task, 0))
			}
		}
	}
	w.sim.SetFaults(ecssim.Faults{})
	for _, i := range instances { // releases the last delayed event
		require.NoError(t, w.sim.SetAgentConnected(i, false))
	}
	truth := map[string]int64{}
	for _, task := range w.sim.Tasks("") {
		truth[task.ARN] = task.Version
	}
	for _, i := range w.sim.Instances("") {
		truth[i.ARN] = i.Version
	}
	for left := w.messageCount(); left > 0; left = w.messageCount() {
		testenv.Eventually(t, func() bool { return w.messageCount() < left }, "%d events are left in the queue", left)
	}
	assert.Equal(t, truth, w.storedVersions())
	assert.Equal(t, w.ecsState(), c.served())
}

// storedVersions returns the ECS version of every record in etcd, by ARN.
func (w *system) storedVersions() map[string]int64 {
	w.t.Helper()
	stored := map[string]int64{}
	for _, kind := range []state.Kind{state.KindTask, state.KindInstance} {
		answer, err := w.client.Get(w.t.Context(), kind.Prefix(), clientv3.WithPrefix())
		require.NoError(w.t, err)
		for _, kv := range answer.Kvs {
			if kind == state.KindTask {
				task, err := state.DecodeTask(kv.Value)
				require.NoError(w.t, err)
				stored[task.ARN] = task.Version
			} else {
				i, err := state.DecodeInstance(kv.Value)
				require.NoError(w.t, err)
				stored[i.ARN] = i.Version
			}
		}
	}
	return stored
}
