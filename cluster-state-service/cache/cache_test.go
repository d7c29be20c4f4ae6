package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a view of the etcd until the test ends.
func start(t *testing.T, server *testenv.Server, retained int) *Cache {
	t.Helper()
	return startWith(t, server, server.Client(), retained)
}

// startWith is start with another connection for the watch.
func startWith(t *testing.T, server *testenv.Server, watching *clientv3.Client, retained int) *Cache {
	t.Helper()
	v := build(t, server, watching, retained)
	runView(t, v)
	return v
}

func runView(t *testing.T, v *Cache) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, v.Run(ctx)) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

func build(t *testing.T, server *testenv.Server, watching *clientv3.Client, retained int) *Cache {
	t.Helper()
	encode := func(key string, version, revision int64) []byte {
		return fmt.Appendf(nil, "%s v%d @%d", key, version, revision)
	}
	deleted := func(key state.Key, revision int64) []byte {
		return fmt.Appendf(nil, "%s deleted @%d", key.ARN, revision)
	}
	return New(Config{
		WatchClient: watching, Client: server.Client(), Log: testenv.Logger(t), HistoryLimit: retained,
		Tasks: Codec[state.Task]{
			Decode: state.DecodeTask, Version: func(t state.Task) int64 { return t.Version },
			Encode: func(t state.Task, revision int64) []byte { return encode(t.ARN, t.Version, revision) }, EncodeDeleted: deleted,
		},
		Instances: Codec[state.Instance]{
			Decode: state.DecodeInstance, Version: func(i state.Instance) int64 { return i.Version },
			Encode: func(i state.Instance, revision int64) []byte { return encode(i.ARN, i.Version, revision) }, EncodeDeleted: deleted,
		},
	})
}

func arnOf(id string) string { return "arn:aws:ecs:eu-west-1:123456789012:task/prod/" + id }
func keyOf(id string) string { return "ecs/task/prod/" + arnOf(id) }

func valueOf(id string, version int) string {
	return fmt.Sprintf(`{"detail":{"taskArn":%q,"clusterArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/prod","version":%d}}`, arnOf(id), version)
}

// write puts a task and returns the revision.
func write(t *testing.T, client *clientv3.Client, id string, version int) int64 {
	t.Helper()
	answer, err := client.Put(t.Context(), keyOf(id), valueOf(id, version))
	require.NoError(t, err)
	return answer.Header.Revision
}

// lines reads n changes and returns them as text.
func lines(t *testing.T, v *Cache, from int64, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := v.Watch(ctx, state.KindTask, from, 0)
	require.NoError(t, err)
	var got []string
	for c, err := range changes {
		require.NoError(t, err)
		if got = append(got, strings.TrimSuffix(string(c.Line), "\n")); len(got) == n {
			break
		}
	}
	require.Len(t, got, n)
	return got
}

func TestFreshSeesEveryWriteThatFinishedBefore(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "before", 1)
	v := start(t, server, 0)
	for n := range 50 {
		id := fmt.Sprint(n)
		revision := write(t, client, id, 1)
		s, err := v.WaitCurrent(t.Context())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, s.Revision, revision)
		require.NotNil(t, s.Tasks.Get(keyOf(id)))
		assert.Equal(t, revision, s.Tasks.Get(keyOf(id)).Revision)
	}
	_, err := client.Delete(t.Context(), keyOf("before"))
	require.NoError(t, err)
	s, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Nil(t, s.Tasks.Get(keyOf("before")))
}

// Revisions that others make in a shared etcd bring no event; progress requests bridge them.
func TestFreshIsNotHeldUpByWhatOthersWrite(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	v := start(t, server, 0)
	for n := range 20 {
		answer, err := client.Put(t.Context(), "others/key", fmt.Sprint(n))
		require.NoError(t, err)
		s, err := v.WaitCurrent(t.Context())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, s.Revision, answer.Header.Revision)
	}
}

func TestSnapshotsDoNotChange(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	v := start(t, server, 0)
	old, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	write(t, client, "a", 2)
	write(t, client, "b", 1)
	_, err = v.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, old.Tasks.Len())
	assert.Equal(t, int64(1), old.Tasks.Get(keyOf("a")).Version)
}

func TestOddRecordsAreLeftOut(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	for key, value := range map[string]string{
		keyOf("odd"): "no JSON", "ecs/task/x": valueOf("a", 1), "ecs/environment/web": "{}", "ecs/other": "", keyOf("good"): valueOf("good", 1),
	} {
		_, err := client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	v := start(t, server, 0)
	s, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, s.Tasks.Len())
	_, err = client.Put(t.Context(), keyOf("good"), "broken now")
	require.NoError(t, err)
	s, err = v.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Zero(t, s.Tasks.Len(), "what is not known any more is not shown")
}

func TestSnapshotKnowsComparisonAndLeader(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	v := start(t, server, 0)
	s, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.True(t, s.LastReconcile("eu-west-1").FinishedAt.IsZero())
	assert.Empty(t, s.Leader())

	finished := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	body, err := json.Marshal(state.ReconcileRun{FinishedAt: finished})
	require.NoError(t, err)
	for key, value := range map[string]string{
		state.ReconcilePrefix + "123456789012/eu-west-1": string(body), state.ReconcilePrefix + "123456789012/us-east-1": "odd",
	} {
		_, err := client.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	for _, name := range []string{"first", "second"} {
		_, err := client.Put(t.Context(), state.LockPrefix+name, name)
		require.NoError(t, err)
	}
	s, err = v.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Equal(t, finished, s.LastReconcile("eu-west-1").FinishedAt)
	assert.True(t, s.LastReconcile("us-east-1").FinishedAt.IsZero())
	assert.Equal(t, "first", s.Leader())
	_, err = client.Delete(t.Context(), state.LockPrefix+"first")
	require.NoError(t, err)
	s, err = v.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "second", s.Leader())
}

func TestChangesFromNow(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "before", 1)
	v := start(t, server, 0)
	_, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := v.Watch(ctx, state.KindTask, 0, 0)
	require.NoError(t, err)
	first := write(t, client, "a", 1)
	second := write(t, client, "a", 2)
	_, err = client.Delete(t.Context(), keyOf("a"))
	require.NoError(t, err)
	want := []string{
		fmt.Sprintf("%s v1 @%d\n", arnOf("a"), first), fmt.Sprintf("%s v2 @%d\n", arnOf("a"), second),
		fmt.Sprintf("%s deleted @%d\n", arnOf("a"), second+1),
	}
	for c, err := range changes {
		require.NoError(t, err)
		assert.Equal(t, want[0], string(c.Line))
		assert.Equal(t, len(want) == 1, c.Deleted)
		if want = want[1:]; len(want) == 0 {
			break
		}
	}
	assert.Empty(t, want)
}

// The same changes are seen whether the log still has them or etcd is asked.
func TestChangesFromARevision(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	var revisions []int64
	var want []string
	add := func(n int) {
		revision := write(t, client, "a", n)
		revisions = append(revisions, revision)
		want = append(want, fmt.Sprintf("%s v%d @%d", arnOf("a"), n, revision))
	}
	for n := range 5 { // before the view
		add(n)
	}
	all := start(t, server, 0)
	few := start(t, server, 3)
	for _, v := range []*Cache{all, few} {
		_, err := v.WaitCurrent(t.Context())
		require.NoError(t, err)
	}
	for n := range 10 {
		add(5 + n)
	}
	for _, v := range []*Cache{all, few} {
		_, err := v.WaitCurrent(t.Context())
		require.NoError(t, err)
		for i := range revisions {
			assert.Equal(t, want[i:], lines(t, v, revisions[i], len(want)-i), "from %d", revisions[i])
		}
	}
}

func TestReplayEndsWithoutAnEventToEndIt(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	first := write(t, client, "a", 1)
	_, err := client.Put(t.Context(), "ecs/instance/other", "x") // the last revision is none of tasks'
	require.NoError(t, err)
	v := start(t, server, 0)
	_, err = v.WaitCurrent(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := v.Watch(ctx, state.KindTask, first, 0)
	require.NoError(t, err)
	seen := 0
	for c, err := range changes {
		require.NoError(t, err)
		if seen++; seen == 2 {
			assert.Contains(t, string(c.Line), "v2", "live changes follow")
			break
		}
		write(t, client, "a", 2)
	}
	assert.Equal(t, 2, seen)
}

func TestChangesOutOfRange(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	first := write(t, client, "a", 1)
	last := write(t, client, "a", 2)
	v := start(t, server, 0)
	_, err := v.Watch(t.Context(), state.KindTask, last+1, 0)
	assert.ErrorIs(t, err, state.ErrVersionOutOfRange, "in the future")
	_, err = client.Compact(t.Context(), last)
	require.NoError(t, err)
	_, err = v.Watch(t.Context(), state.KindTask, first, 0)
	assert.ErrorIs(t, err, state.ErrVersionOutOfRange, "compacted")
	assert.Len(t, lines(t, v, last, 1), 1)
}

func TestHeartbeatsAreSafeToResumeFrom(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	v := start(t, server, 0)
	_, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	answer, err := client.Put(t.Context(), "others/key", "x")
	require.NoError(t, err)
	s, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	changes, err := v.Watch(ctx, state.KindTask, 0, 10*time.Millisecond)
	require.NoError(t, err)
	for c, err := range changes {
		require.NoError(t, err)
		assert.True(t, c.Heartbeat)
		assert.Equal(t, s.Revision, c.Revision)
		assert.GreaterOrEqual(t, c.Revision, answer.Header.Revision)
		break
	}
}

// While etcd is away, nobody may believe that nothing happens.
func TestNoHeartbeatsWhileEtcdIsSilent(t *testing.T) {
	server := testenv.EtcdServer(t)
	v := start(t, server, 0)
	_, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	changes, err := v.Watch(ctx, state.KindTask, 0, time.Millisecond)
	require.NoError(t, err)
	for c, err := range changes {
		require.NoError(t, err)
		assert.Fail(t, "a heartbeat without etcd", "%+v", c)
	}

	server.Start()
	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	testenv.Eventually(t, func() bool {
		changes, err := v.Watch(ctx, state.KindTask, 0, time.Millisecond)
		require.NoError(t, err)
		for c, err := range changes { // or the log has ended with the old watch
			return err == nil && c.Heartbeat
		}
		return false
	})
}

func TestProgressOvertakesEvents(t *testing.T) {
	for version, want := range map[string]bool{
		"3.0.15": true, "3.4.23": true, "3.4.25": false, "3.4.30": false, "3.5.0": true, "3.5.7": true, "3.5.8": false, "3.6.0": false, "3.7.3": false,
	} {
		assert.Equal(t, want, progressOvertakesEvents(version), version)
	}
}

func TestAReaderThatIsTooSlowIsTold(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	v := start(t, server, 2)
	_, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	changes, err := v.Watch(t.Context(), state.KindTask, 0, 0)
	require.NoError(t, err)
	for n := range 10 {
		write(t, client, "a", n)
		_, err = v.WaitCurrent(t.Context()) // so that each is a page of its own
		require.NoError(t, err)
	}
	for _, err := range changes {
		assert.ErrorIs(t, err, ErrSlowSubscriber)
	}
}

// An etcd that goes away is said to be silent; when it is back, so is the view, and nobody is left in silence.
func TestEtcdAwayAndBack(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	v := start(t, server, 0)
	_, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	server.Stop()
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	_, err = v.WaitCurrent(short)
	cancel()
	require.Error(t, err)
	server.Start()
	var revision int64
	testenv.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answer, err := client.Put(ctx, keyOf("b"), valueOf("b", 1))
		if err == nil {
			revision = answer.Header.Revision
		}
		return err == nil
	})
	testenv.Eventually(t, func() bool {
		s, err := v.WaitCurrent(t.Context())
		return err == nil && s.Revision >= revision && s.Tasks.Get(keyOf("b")) != nil
	})
	assert.Len(t, lines(t, v, revision, 1), 1)
}

// A watch that etcd cancels, as it does with one that fell behind compaction, leads to a new load, and the streams of the
// old log end with an error.
func TestInterruptedLogIsTold(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	write(t, client, "a", 1)
	v := start(t, server, 0)
	s, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	changes, err := v.Watch(t.Context(), state.KindTask, 0, 0)
	require.NoError(t, err)
	v.restart(s) // what follow does after a failed watch
	ended := false
	for _, err := range changes {
		assert.ErrorIs(t, err, errInterrupted)
		ended = true
	}
	assert.True(t, ended)
	next := write(t, client, "a", 2)
	assert.Len(t, lines(t, v, next, 1), 1)
}

func TestStreamsEndWithTheService(t *testing.T) {
	server := testenv.EtcdServer(t)
	v := build(t, server, server.Client(), 0)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, v.Run(ctx)) })
	_, err := v.WaitCurrent(t.Context())
	require.NoError(t, err)
	changes, err := v.Watch(t.Context(), state.KindTask, 0, 0)
	require.NoError(t, err)
	cancel()
	for range changes {
		assert.Fail(t, "nothing happened")
	}
	running.Wait()
}
