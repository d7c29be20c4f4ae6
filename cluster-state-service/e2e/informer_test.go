package e2e

import (
	"context"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// An informer converges to etcd's state while events flow: across broken connections, a compaction of the
// revision it would resume from, and restarts of the service.
func TestInformer_EqualsStore(t *testing.T) {
	w := newSystem(t,
		ecssim.Config{Seed: 5, Faults: ecssim.Faults{Events: ecssim.EventFaults{Duplicate: 0.1, Reorder: 0.1}}})
	queue, url := w.sqs() // a stopped service's unacknowledged messages are redelivered soon
	_, err := queue.SetQueueAttributes(t.Context(),
		&sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"VisibilityTimeout": "2"}})
	require.NoError(t, err)
	instances := append(w.sim.AddInstances("default", 5), w.sim.AddInstances("other", 2)...)
	w.start().ready() // stores events while the followed replica is down
	c := w.start().ready()
	address := strings.TrimPrefix(c.url, "http://")
	line := testenv.NewProxy(t, address)
	f := w.follow(line.Address())
	during := func(name string, do func()) {
		stopChurn := w.startChurn(instances)
		defer stopChurn()
		f.awaitNewRecords()
		do()
		f.awaitNewRecords()
		stopChurn()
		f.awaitStore(name)
	}

	var listed time.Time
	during("connections are cut", func() {
		listed = f.ListedAt()
		for range 10 {
			line.SetDisconnected(false)
			f.awaitNewRecords()
		}
		assert.Equal(t, listed, f.ListedAt(), "a broken stream is resumed without another list")
	})
	during("the revision to resume from is compacted", func() {
		line.SetDisconnected(true)
		f.compactUnread()
		line.SetDisconnected(false)
		f.awaitNewRecords()
		require.True(t, f.ListedAt().After(listed), "the informer lists again")
		listed = f.ListedAt()
	})
	during("the service is restarted", func() {
		for range 2 {
			c.stop()
			w.awaitRevisions(50)
			c = w.startAt(address).ready()
			f.awaitNewRecords()
		}
		assert.Equal(t, listed, f.ListedAt(), "another replica resumes the stream")
	})
	during("all of it happens at once", func() {
		line.SetDisconnected(true)
		f.compactUnread()
		c.stop()
		w.startAt(address).ready()
		line.SetDisconnected(false)
	})
}

// follower is an informer, and the state that its subscriber derives from the changes.
type follower struct {
	*informer.Informer
	*system
	mu       sync.Mutex
	notified map[string]int64 // entity version by ARN
}

// follow runs an informer of the service at the address until the test ends.
func (w *system) follow(address string) *follower {
	w.t.Helper()
	m, err := informer.New(informer.Config{Endpoints: []string{address}, Heartbeat: time.Second, Log: quiet(w.t)})
	require.NoError(w.t, err)
	f := &follower{Informer: m, system: w, notified: map[string]int64{}}
	w.t.Cleanup(m.Subscribe(f.onChange))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(w.t, m.Run(ctx)) })
	w.t.Cleanup(func() { cancel(); running.Wait() })
	return f
}

func (f *follower) onChange(c informer.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch task, instance := f.Task(c.ARN), f.Instance(c.ARN); {
	case task != nil:
		f.notified[c.ARN] = number(*task.Metadata.EntityVersion)
	case instance != nil:
		f.notified[c.ARN] = number(*instance.Metadata.EntityVersion)
	default:
		delete(f.notified, c.ARN)
	}
}

// cached returns the entity version of each of the informer's records, by ARN.
func (f *follower) cached() map[string]int64 {
	all := map[string]int64{}
	for _, name := range []string{"default", "other"} {
		cluster := "arn:aws:ecs:us-east-1:123456789012:cluster/" + name
		for _, task := range f.Tasks(cluster) {
			all[*task.Entity.TaskARN] = number(*task.Metadata.EntityVersion)
		}
		for _, instance := range f.Instances(cluster) {
			all[*instance.Entity.ContainerInstanceARN] = number(*instance.Metadata.EntityVersion)
		}
	}
	return all
}

// awaitNewRecords waits until the informer has received a new task and a new instance.
func (f *follower) awaitNewRecords() {
	f.t.Helper()
	task, instance := f.sim.StartFargateTask("other", "marker"), f.sim.AddInstances("other", 1)[0]
	testenv.Eventually(f.t, func() bool {
		return f.Task(task) != nil && f.Instance(instance) != nil
	}, "the informer does not follow")
}

// awaitRevisions waits until etcd has advanced by that many revisions.
func (w *system) awaitRevisions(revisions int64) {
	w.t.Helper()
	now := func() int64 {
		answer, err := w.client.Get(w.t.Context(), "x")
		require.NoError(w.t, err)
		return answer.Header.Revision
	}
	from := now()
	testenv.Eventually(w.t, func() bool { return now() >= from+revisions }, "no events are stored")
}

// compactUnread waits until etcd has changes of both kinds that the informer cannot have received, deletions
// included, and compacts them.
func (f *follower) compactUnread() {
	f.t.Helper()
	for _, task := range f.Tasks("arn:aws:ecs:us-east-1:123456789012:cluster/other")[:3] {
		_, err := f.client.Delete(f.t.Context(), "ecs/task/other/"+*task.Entity.TaskARN)
		require.NoError(f.t, err)
	}
	task, instance := f.sim.StartFargateTask("other", "marker"), f.sim.AddInstances("other", 1)[0]
	var stored *clientv3.TxnResponse
	testenv.Eventually(f.t, func() bool {
		var err error
		stored, err = f.client.Txn(f.t.Context()).Then(clientv3.OpGet("ecs/task/other/"+task, clientv3.WithCountOnly()),
			clientv3.OpGet("ecs/instance/other/"+instance, clientv3.WithCountOnly())).Commit()
		require.NoError(f.t, err)
		return stored.Responses[0].GetResponseRange().Count+stored.Responses[1].GetResponseRange().Count == 2
	})
	_, err := f.client.Compact(f.t.Context(), stored.Header.Revision)
	require.NoError(f.t, err)
}

// awaitStore waits until the queue is empty and the informer equals etcd. Its subscriber has then seen every change.
func (f *follower) awaitStore(when string) {
	f.t.Helper()
	testenv.Eventually(f.t, func() bool { return f.messageCount() == 0 })
	want := f.stored()
	testenv.Eventually(f.t, func() bool {
		return maps.Equal(want, f.cached())
	}, "the informer differs from the store: %s", when)
	f.mu.Lock()
	defer f.mu.Unlock()
	assert.Equal(f.t, want, f.notified, when)
}

// stored returns the entity version of each record in etcd, by ARN.
func (w *system) stored() map[string]int64 {
	w.t.Helper()
	all := map[string]int64{}
	for _, kind := range []state.Kind{state.KindTask, state.KindInstance} {
		answer, err := w.client.Get(w.t.Context(), kind.Prefix(), clientv3.WithPrefix(), clientv3.WithKeysOnly())
		require.NoError(w.t, err)
		for _, kv := range answer.Kvs {
			key, err := state.ParseKey(string(kv.Key))
			require.NoError(w.t, err)
			all[key.ARN] = kv.ModRevision
		}
	}
	return all
}

// startChurn starts, stops and deletes tasks and changes instances until stop is called.
func (w *system) startChurn(instances []string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		chance := rand.New(rand.NewPCG(1, 2))
		var tasks []string
		for n := 0; ctx.Err() == nil; n++ {
			cluster := []string{"default", "other"}[n%2]
			task := w.sim.StartFargateTask(cluster, "web"+strconv.Itoa(n%3))
			if n%3 > 0 { // a third never changes again: no later event would hide a missed one
				tasks = append(tasks, task)
			}
			assert.NoError(w.t, w.sim.SetAgentConnected(instances[chance.IntN(len(instances))], n%4 == 0))
			if len(tasks) > 30 { // stop and delete the oldest, as the reconciler does
				assert.NoError(w.t, w.sim.KillTask(tasks[0], 0))
				_, err := w.client.Delete(context.Background(), "ecs/task/default/"+tasks[0])
				assert.NoError(w.t, err)
				tasks = tasks[1:]
			}
			select { // about 150 events a second
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return func() { cancel(); running.Wait() }
}
