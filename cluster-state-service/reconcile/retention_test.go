package reconcile

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

const (
	local   = "arn:aws:ecs:us-east-1:123456789012:"
	foreign = "arn:aws:ecs:eu-west-1:999999999999:"
)

// task stores a task of the cluster "prod" that stopped, or changed if it has not stopped, some time ago. place is the
// beginning of its ARNs.
func (f *fixture) task(place, id, status string, ago time.Duration) state.Key {
	f.t.Helper()
	at := time.Now().Add(-ago).UTC().Format(time.RFC3339)
	stopped := ""
	if status == "STOPPED" {
		stopped = fmt.Sprintf(`"stoppedAt":%q,"stoppedReason":"Essential container exited",`, at)
	}
	value := fmt.Sprintf(`{"time":%q,"detail":{"taskArn":"%stask/prod/%s","clusterArn":"%scluster/prod","lastStatus":%q,%s`+
		`"containers":[{"containerArn":"%scontainer/%s","exitCode":7}],"version":5}}`, at, place, id, place, status, stopped,
		place, id)
	key := state.Key{Kind: state.KindTask, Cluster: "prod", ARN: place + "task/prod/" + id}
	_, err := f.etcd.Client().Put(f.t.Context(), key.String(), value)
	require.NoError(f.t, err)
	return key
}

// tombstones returns whether each key has a tombstone.
func (f *fixture) tombstones(keys ...state.Key) (found []bool) {
	f.t.Helper()
	for _, key := range keys {
		got, err := f.etcd.Client().Get(f.t.Context(), key.TombstoneKey(), clientv3.WithCountOnly())
		require.NoError(f.t, err)
		found = append(found, got.Count == 1)
	}
	return found
}

// value returns a record as etcd has it.
func (f *fixture) value(key state.Key) string {
	f.t.Helper()
	got, err := f.etcd.Client().Get(f.t.Context(), key.String())
	require.NoError(f.t, err)
	require.Len(f.t, got.Kvs, 1)
	return string(got.Kvs[0].Value)
}

func (f *fixture) stored(key state.Key) *cache.Entry[state.TaskSummary] {
	return f.snapshot().Tasks.Get(key.String())
}

// ECS forgets stopped tasks after about an hour. Their records stay for the retention, at no cost.
func TestReconciler_KeepsStoppedTasksForTheirRetention(t *testing.T) {
	for name, create := range map[string]bool{"cluster exists": true, "cluster was deleted": false} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, ecssim.Config{})
			if create {
				f.CreateCluster("prod")
				f.AddInstances("prod", 1)
			}
			kept := f.task(local, "kept", "STOPPED", 2*time.Hour)
			expired := f.task(local, "expired", "STOPPED", 4*time.Hour)
			missing := f.task(local, "missing", "RUNNING", time.Hour)
			f.start(Config{Interval: time.Hour, StoppedTaskRetention: 3 * time.Hour})
			testenv.Eventually(t, func() bool { return f.stored(expired) == nil && f.stored(missing) == nil })
			assert.Equal(t, []bool{false, true, true}, f.tombstones(kept, expired, missing))
			task := f.stored(kept)
			require.NotNil(t, task)
			assert.Contains(t, f.value(kept), `"exitCode":7`)
			assert.Equal(t, "Essential container exited", task.Entity.StoppedReason)

			late := func(key state.Key) state.Record {
				value := fmt.Sprintf(`{"detail":{"taskArn":%q,"clusterArn":%q,"lastStatus":"RUNNING","version":4}}`,
					key.ARN, local+"cluster/prod")
				return state.Record{Key: key, Version: 4, Value: []byte(value)}
			}
			require.NoError(t, f.store.Record(t.Context(), []state.Record{late(kept), late(expired)}))
			assert.Equal(t, "STOPPED", f.stored(kept).Entity.LastStatus, "a late event revives no task")
			assert.Nil(t, f.stored(expired), "nor one that was removed")
		})
	}
}

// ECS describes a hundred tasks a call, and the budget is small. Records that never change cost no call.
func TestReconciler_DoesNotDescribeStoppedTasksThatECSForgot(t *testing.T) {
	f := newFixture(t, ecssim.Config{})
	f.AddInstances("prod", 1)
	var last state.Key
	for n := range 250 {
		last = f.task(local, fmt.Sprint(n), "STOPPED", 2*time.Hour)
	}
	f.start(Config{Interval: time.Hour, StoppedTaskRetention: 24 * time.Hour})
	testenv.Eventually(t, func() bool {
		cluster, err := arn.Parse(local + "cluster/prod")
		require.NoError(t, err)
		return !f.snapshot().Reconciliations.Of(cluster.String()).FinishedAt.IsZero()
	})
	assert.Zero(t, f.Calls("DescribeTasks"))
	assert.NotNil(t, f.stored(last))
}

// maintain runs a Maintainer.
func (f *fixture) maintain(retention, abandonedAfter time.Duration) {
	log := testenv.Logger(f.t)
	f.run(NewMaintainer(MaintainerConfig{
		Store: f.store, Compactor: f.store.NewCompactor(0, nil, log), WaitCurrent: f.cache.WaitCurrent, Name: "test",
		Interval: 10 * time.Millisecond, StoppedTaskRetention: retention, AbandonedAfter: abandonedAfter, Log: log,
	}).Run)
}

// Events of other regions and accounts arrive in one queue. Nothing reconciles those.
func TestMaintainer_RemovesStoppedTasksThatNothingReconciles(t *testing.T) {
	f := newFixture(t, ecssim.Config{})
	expired := f.task(foreign, "expired", "STOPPED", 3*time.Hour)
	recent := f.task(foreign, "recent", "STOPPED", time.Hour)
	running := f.task(foreign, "running", "RUNNING", 3*time.Hour)
	reconciled := f.task(local, "reconciled", "STOPPED", 3*time.Hour)
	cluster, err := arn.Parse(local + "cluster/prod")
	require.NoError(t, err)
	record := fmt.Sprintf(`{"cluster":%q,"finishedAt":%q}`, cluster,
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339)) // for as long as the test runs
	_, err = f.etcd.Client().Put(t.Context(), state.ReconciledKey(cluster), record)
	require.NoError(t, err)

	f.maintain(2*time.Hour, time.Second)
	testenv.Eventually(t, func() bool { return f.stored(expired) == nil }, "the expired task stays")
	assert.Equal(t, []bool{true, false, false, false}, f.tombstones(expired, recent, running, reconciled))
	for _, key := range []state.Key{recent, running, reconciled} {
		assert.NotNil(t, f.stored(key), key.ARN)
	}
}

// ECS rejects to list a cluster, whose events arrive. Its stopped tasks must not accumulate.
func TestMaintainer_RemovesStoppedTasksOfAForbiddenCluster(t *testing.T) {
	f := newFixture(t, ecssim.Config{})
	cluster, err := arn.Parse(local + "cluster/prod")
	require.NoError(t, err)
	expired := f.task(local, "expired", "STOPPED", 3*time.Hour)
	_, err = f.etcd.Client().Put(t.Context(), state.ReconciledKey(cluster),
		fmt.Sprintf(`{"cluster":%q,"error":"ListTasks: AccessDeniedException"}`, cluster))
	require.NoError(t, err)
	f.maintain(time.Hour, time.Second)
	testenv.Eventually(t, func() bool { return f.stored(expired) == nil }, "the expired task stays")
}

// At the start nothing shows whether something reconciles a cluster, so the maintainer watches before it removes.
func TestMaintainer_WatchesBeforeItRemoves(t *testing.T) {
	f := newFixture(t, ecssim.Config{})
	expired := f.task(foreign, "expired", "STOPPED", 3*time.Hour)
	f.maintain(time.Hour, 0)
	testenv.Eventually(t, func() bool {
		got, err := f.etcd.Client().Get(t.Context(), state.MaintenanceLock, clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		return got.Count > 0
	})
	for range 20 {
		time.Sleep(5 * time.Millisecond) // longer only makes the test stricter
		require.NotNil(t, f.stored(expired))
	}
}
