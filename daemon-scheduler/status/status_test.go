package status

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/testenv"
)

// textEncoder encodes lines as words.
type textEncoder struct{}

func (textEncoder) Instance(s environment.InstanceStatus, _ string) []byte {
	return []byte(s.Instance.ARN + "\n")
}
func (textEncoder) Counts(c environment.Counts) []byte {
	return fmt.Appendf(nil, "desired=%d\n", c.Desired)
}
func (textEncoder) InstanceDeleted(arn string) []byte { return []byte("-" + arn + "\n") }
func (textEncoder) Environment(e environment.Environment, _ Observed) []byte {
	return []byte(e.Name + "\n")
}
func (textEncoder) EnvironmentDeleted(name string) []byte { return []byte("-" + name + "\n") }
func (textEncoder) Event(e environment.Event) []byte      { return []byte(e.Reason + "\n") }
func (textEncoder) Readiness(r Readiness) []byte {
	return fmt.Appendf(nil, "leader=%s reasons=%d\n", r.Leader, len(r.Reasons))
}
func (textEncoder) State(count int, current bool) []byte {
	return fmt.Appendf(nil, "count=%d current=%t\n", count, current)
}

// newStatus returns a status whose cluster state has never been read.
func newStatus(t *testing.T, client *clientv3.Client, reader EtcdReader) (*Status, *store.Store) {
	records := store.New(client, testenv.Logger(t))
	unread, err := informer.New(informer.Config{Endpoints: []string{"localhost:1"}})
	require.NoError(t, err)
	if reader == nil {
		reader = records
	}
	s, stop := New(Config{
		Cache: cache.New(records, testenv.Logger(t)), Cluster: clusterstate.Cluster{Informer: unread},
		Events: events.NewStore(records, testenv.Logger(t)), Etcd: reader, Encoder: textEncoder{}, Replica: "one",
	})
	t.Cleanup(stop)
	return s, records
}

// silentEtcd does not respond.
type silentEtcd struct{}

func (silentEtcd) Leader(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}
func (silentEtcd) OutOfSpace(context.Context) bool { return false }

func TestStatus_OverviewDoesNotWaitForASilentEtcd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStatus(t, nil, silentEtcd{})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { assert.NoError(t, s.Run(ctx)) })
		start := time.Now()
		var received []string
		for lines, err := range s.WatchOverview(ctx, 0) {
			require.NoError(t, err)
			if received = append(received, string(lines)); len(received) == 2 {
				break
			}
			assert.Zero(t, time.Since(start), "the state is sent at once")
		}
		assert.Equal(t, []string{"count=0 current=false\n", "leader= reasons=3\n"}, received)
		cancel()
		stopped := time.Now()
		running.Wait()
		assert.Zero(t, time.Since(stopped), "Run ends with its context, even while it reads")
	})
}

// A cache may be behind what the API has just read in etcd: it may not have an environment yet that exists.
func TestStatus_WatchInstancesWaitsForAnEnvironmentThatTheCacheDoesNotHaveYet(t *testing.T) {
	t.Parallel()
	s, records := newStatus(t, testenv.Etcd(t), nil)
	ctx, cancel := context.WithCancel(t.Context())
	blocked, behind := make(chan struct{}, 1), make(chan struct{})
	s.Cache.Subscribe(cache.Listener{EnvironmentChanged: func(string) {
		select {
		case blocked <- struct{}{}:
		default:
		}
		<-behind
	}})
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, s.Cache.Run(ctx)) })
	catchUp := sync.OnceFunc(func() { close(behind) })
	defer func() { catchUp(); cancel(); running.Wait() }()
	testenv.Eventually(t, s.Cache.Synced)
	create := func(name string) {
		const cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
		require.NoError(t, records.Create(ctx, environment.New(name, cluster, "agent:1", "token of "+name)))
	}
	create("first")
	<-blocked
	create("logs")

	for lines, err := range s.WatchInstances(ctx, "logs", "", 0) {
		assert.NoError(t, err)
		assert.True(t, strings.HasSuffix(string(lines), "current=false\n"))
		break
	}
	catchUp()
	testenv.Eventually(t, func() bool { _, _, err := s.Cache.Environment("logs"); return err == nil })

	// A cache that has had the environment knows that it is deleted.
	require.NoError(t, records.Delete(ctx, "first"))
	require.NoError(t, records.Delete(ctx, "logs"))
	for _, err := range s.WatchInstances(ctx, "logs", "", time.Second) {
		if err != nil {
			assert.ErrorIs(t, err, environment.ErrNotFound)
			break
		}
	}
}
