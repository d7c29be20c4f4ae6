package clusterstate_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/internal/ecssim"
)

// startOn runs a cluster-state-service on another queue than the usual one.
func (w *world) startOn(queue string) *css {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	environment := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": w.aws.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	}
	getenv := func(name string) string { return environment[name] }
	cfg, err := clusterstate.ParseConfig([]string{"--etcd-endpoint", w.etcd.Endpoints()[0], "--queue", queue}, getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listener
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(w.t, clusterstate.Run(ctx, cfg, quiet(w.t))) })
	c := &css{world: w, url: "http://" + listener.Addr().String(), stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	w.t.Cleanup(c.stop)
	return c
}

// Events come from a stream as from a queue, whichever replica reads them, and a restart goes on where the last one was.
func TestStateFollowsAStream(t *testing.T) {
	w := newWorld(t, ecssim.Config{StreamName: "events", StreamShards: 2})
	one := w.startOn("kinesis://events").ready()
	two := w.startOn("kinesis://events").ready()
	definition := w.sim.RegisterTaskDefinition("agent")
	instances := w.sim.AddInstances("default", 3)
	tasks := w.startTasks(definition, instances...)
	one.converges()
	two.converges()
	one.stop()
	require.NoError(t, w.sim.KillTask(tasks[0], 1))
	two.converges()
	two.stop()

	w.sim.SetDown("ecs", true) // so that nothing but the stream tells of it
	require.NoError(t, w.sim.KillTask(tasks[1], 1))
	w.startOn("kinesis://events").ready().converges()
	assert.Zero(t, w.sim.Calls("ReceiveMessage"))
}
