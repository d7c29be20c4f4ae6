package clusterstate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// Two replicas on one etcd and one queue are one linearizable register to their readers while events flow: every answer
// is etcd's state at the version that it tells, and no read goes behind what was known before it began, wherever that
// was learnt.
func TestReplicasAnswerAsOne(t *testing.T) {
	w := newWorld(t, ecssim.Config{Seed: 3, Faults: ecssim.Faults{Events: ecssim.EventFaults{Duplicate: 0.2, Reorder: 0.2}}})
	replicas := []*css{w.start().ready(), w.start().ready()}
	definition := w.sim.RegisterTaskDefinition("agent")
	instances := w.sim.AddInstances("default", 8)
	w.sim.AddInstances("other", 1)
	h := newHistory(w)
	h.know(state.KindInstance, "default", instances...)

	const readers, enough = 6, 1000
	stop := make(chan struct{})
	ended := sync.OnceFunc(func() { close(stop) })
	var reading sync.WaitGroup
	defer reading.Wait()
	defer ended()
	for n := range readers {
		reading.Go(func() {
			chance := rand.New(rand.NewPCG(1, uint64(n)))
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			for h.read(transport, replicas[chance.IntN(len(replicas))].url, chance) {
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for round := 0; h.reads.Load() < enough && !t.Failed(); round++ {
		tasks := w.startTasks(definition, instances[round%8])
		h.know(state.KindTask, "default", tasks...)
		fargate := w.sim.StartFargateTask("other", "web")
		h.know(state.KindTask, "other", fargate)
		if round%3 > 0 {
			require.NoError(t, w.sim.KillTask(tasks[0], 0))
			require.NoError(t, w.sim.KillTask(fargate, 1))
		}
		seen := h.reads.Load() // so that events flow for as long as there are readers
		testenv.Eventually(t, func() bool { return h.reads.Load() > seen+20 || t.Failed() })
	}
	ended()
	reading.Wait()
	if t.Failed() {
		return
	}
	replicas[0].converges()
	_, one := replicas[0].get("/v1/tasks")
	_, two := replicas[1].get("/v1/tasks")
	assert.True(t, one == two, "at rest there is one version, and one answer")
	h.isOfEtcd()
	t.Logf("%d reads; %d lists and %d records that differ in version", h.reads.Load(), len(h.lists), len(h.gets))
}

// history is what all readers have seen.
type history struct {
	*world
	reads atomic.Int64

	mu       sync.Mutex
	entities []state.Key
	latest   map[string]int64      // by path, the highest version of an answer that had come
	lists    map[versioned]string  // bodies
	gets     map[versioned]version // of the record in a state, 0 for none
}

type version = int64

// versioned is a path in the state of an entity version.
type versioned struct {
	path    string
	version version
}

func newHistory(w *world) *history {
	return &history{world: w, latest: map[string]int64{}, lists: map[versioned]string{}, gets: map[versioned]version{}}
}

// know lets readers ask for the entities.
func (h *history) know(kind state.Kind, cluster string, arns ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, arn := range arns {
		h.entities = append(h.entities, state.Key{Kind: kind, Cluster: cluster, ARN: arn})
	}
}

// Lists that readers ask for, and what is behind them in etcd.
var listed = map[string]string{
	"/v1/tasks": "ecs/task/", "/v1/tasks?cluster=other": "ecs/task/other/", "/v1/instances": "ecs/instance/",
}

// read asks for something by chance and tells whether the answer may stand in the history.
func (h *history) read(transport *http.Transport, url string, chance *rand.Rand) bool {
	h.mu.Lock()
	key := h.entities[max(0, len(h.entities)-1-chance.IntN(20))] // of the newest: they change
	paths := []string{"/v1/tasks", "/v1/tasks?cluster=other", "/v1/instances"}
	h.mu.Unlock()
	defer h.reads.Add(1)
	if chance.IntN(3) == 0 {
		return h.list(transport, url, paths[chance.IntN(len(paths))])
	}
	return h.get(transport, url, key)
}

// before is what is known of a path as a read of it begins: the highest version that any reader was shown.
func (h *history) before(path string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latest[path]
}

func (h *history) get(transport *http.Transport, url string, key state.Key) bool {
	path := fmt.Sprintf("/v1/%ss/%s/%s", key.Kind, key.Cluster, key.ARN)
	shown := h.before(path)
	committed, err := h.client.Get(h.t.Context(), key.String(), clientv3.WithKeysOnly())
	if !assert.NoError(h.t, err) {
		return false
	}
	stored := int64(0)
	if len(committed.Kvs) > 0 {
		stored = committed.Kvs[0].ModRevision
	}
	status, header, body, ok := h.ask(transport, url+path)
	var got struct {
		Metadata struct{ EntityVersion string }
	}
	record := int64(0)
	switch {
	case !ok:
		return false
	case status == http.StatusOK:
		if !assert.NoError(h.t, json.Unmarshal(body, &got)) {
			return false
		}
		record = number(got.Metadata.EntityVersion)
	case !assert.Equal(h.t, http.StatusNotFound, status, "%s", body):
		return false
	}
	if !assert.GreaterOrEqual(h.t, record, shown, "%s: older than what an earlier read has shown", path) ||
		!assert.GreaterOrEqual(h.t, record, stored, "%s: older than what etcd had before the read", path) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest[path] = max(h.latest[path], record)
	if status != http.StatusOK {
		return true
	}
	of := versioned{key.String(), number(header.Get("Blox-Entity-Version"))}
	if before, found := h.gets[of]; found && !assert.Equal(h.t, before, record, "%v", of) {
		return false
	}
	h.gets[of] = record
	return assert.GreaterOrEqual(h.t, of.version, committed.Header.Revision, "%s: the state is older than etcd was before the read", path)
}

func (h *history) list(transport *http.Transport, url, path string) bool {
	shown := h.before(path)
	newest, err := h.client.Get(h.t.Context(), listed[path], clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1),
		clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
	if !assert.NoError(h.t, err) {
		return false
	}
	status, _, body, ok := h.ask(transport, url+path)
	var got list
	if !ok || !assert.Equal(h.t, http.StatusOK, status, "%s", body) || !assert.NoError(h.t, json.Unmarshal(body, &got)) {
		return false
	}
	of := versioned{path, number(got.Metadata.EntityVersion)}
	stored, highest := int64(0), int64(0)
	if len(newest.Kvs) > 0 {
		stored = newest.Kvs[0].ModRevision
	}
	for _, i := range got.Items {
		highest = max(highest, number(i.Metadata.EntityVersion))
	}
	if !assert.GreaterOrEqual(h.t, of.version, shown, "%s: older than what an earlier read has shown", path) ||
		!assert.GreaterOrEqual(h.t, highest, stored, "%s: lacks what etcd had before the read", path) ||
		!assert.GreaterOrEqual(h.t, of.version, newest.Header.Revision, "%s: the state is older than etcd was before the read", path) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest[path] = max(h.latest[path], of.version)
	if before, found := h.lists[of]; found && !assert.Equal(h.t, before, string(body), "%v", of) {
		return false
	}
	h.lists[of] = string(body)
	return true
}

// list is an answer, as far as it matters here.
type list struct {
	Items []struct {
		Metadata struct{ EntityVersion string }
		Entity   struct{ TaskARN, ContainerInstanceARN, LastStatus, Status string }
	}
	Metadata struct{ EntityVersion string }
}

func (h *history) ask(transport *http.Transport, url string) (status int, header http.Header, body []byte, ok bool) {
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, url, nil)
	if !assert.NoError(h.t, err) {
		return 0, nil, nil, false
	}
	answer, err := transport.RoundTrip(request)
	if !assert.NoError(h.t, err) {
		return 0, nil, nil, false
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, body, assert.NoError(h.t, err)
}

func number(version string) int64 {
	n, _ := strconv.ParseInt(version, 10, 64) // what is none is older than all
	return n
}

// isOfEtcd holds every answer against what etcd held at its version.
func (h *history) isOfEtcd() {
	h.t.Helper()
	for of, body := range h.lists {
		held, err := h.client.Get(h.t.Context(), listed[of.path], clientv3.WithPrefix(), clientv3.WithRev(of.version))
		require.NoError(h.t, err)
		var got list
		require.NoError(h.t, json.Unmarshal([]byte(body), &got))
		require.Len(h.t, got.Items, len(held.Kvs), "%v", of)
		for n, kv := range held.Kvs { // in the order of their keys
			status, err := statusOf(string(kv.Key), kv.Value)
			require.NoError(h.t, err)
			item := got.Items[n]
			require.Equal(h.t, kv.ModRevision, number(item.Metadata.EntityVersion), "%v", of)
			require.Equal(h.t, status, item.Entity.LastStatus+item.Entity.Status, "%v", of)
		}
	}
	for of, record := range h.gets {
		held, err := h.client.Get(h.t.Context(), of.path, clientv3.WithRev(of.version), clientv3.WithKeysOnly())
		require.NoError(h.t, err)
		require.Len(h.t, held.Kvs, 1, "%v", of)
		require.Equal(h.t, held.Kvs[0].ModRevision, record, "%v", of)
	}
}

// statusOf is the status of a record in etcd.
func statusOf(key string, value []byte) (string, error) {
	parsed, err := state.ParseKey(key)
	if err != nil {
		return "", err
	}
	if parsed.Kind == state.KindTask {
		task, err := state.DecodeTask(value)
		return task.LastStatus, err
	}
	instance, err := state.DecodeInstance(value)
	return instance.Status, err
}
