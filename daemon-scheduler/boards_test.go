package daemonscheduler

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/testenv"
)

// A replica's copy may be behind what its API has just seen in etcd: an environment that it lacks is not gone.
func TestAnEnvironmentThatTheCopyLacksIsWaitedFor(t *testing.T) {
	t.Parallel()
	client := testenv.Etcd(t)
	records := store.New(client, testenv.Logger(t))
	ctx, cancel := context.WithCancel(t.Context())
	behind, stuck := make(chan struct{}), make(chan struct{}, 1)
	var running sync.WaitGroup
	running.Go(func() {
		assert.NoError(t, records.Run(ctx, func(string) {
			select {
			case stuck <- struct{}{}:
			default:
			}
			<-behind
		}, func(string) {}))
	})
	catchUp := sync.OnceFunc(func() { close(behind) })
	defer func() { catchUp(); cancel(); running.Wait() }()
	testenv.Eventually(t, records.Synced)
	create := func(name string) {
		const cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
		require.NoError(t, records.Create(ctx, environment.New(name, cluster, "agent:1", "0b0a9e39-5d7b-4fd7-9b3e-0d2d2b4e5a11")))
	}
	create("first")
	<-stuck
	create("logs")

	copied, err := informer.New(informer.Config{Endpoints: []string{"localhost:1"}})
	require.NoError(t, err)
	b, stop := newBoards(outlook{records, clusterstate.Cluster{Informer: copied}, time.Second}, "one")
	defer stop()
	for lines, err := range b.Instances(ctx, "logs", 0) {
		assert.NoError(t, err)
		assert.Contains(t, string(lines), `"current":false`)
		break
	}
	catchUp()
	testenv.Eventually(t, func() bool { _, _, err := records.Copied("logs"); return err == nil })

	// A copy that has had it knows that it is gone.
	require.NoError(t, records.Delete(ctx, "first"))
	require.NoError(t, records.Delete(ctx, "logs"))
	for _, err := range b.Instances(ctx, "logs", time.Second) {
		if err != nil {
			assert.ErrorIs(t, err, environment.ErrNotFound)
			break
		}
	}
}
