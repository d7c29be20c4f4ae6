package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

// history records the responses that all readers have received.
type history struct {
	*system
	reads atomic.Int64

	mu       sync.Mutex
	entities []state.Key
	latest   map[string]int64      // by path, the highest version in an answer so far
	lists    map[versioned]string  // bodies
	gets     map[versioned]version // of the record at an entity version; 0 if there is none
}

type version = int64

// versioned is a path at an entity version.
type versioned struct {
	path    string
	version version
}

func newHistory(w *system) *history {
	return &history{system: w, latest: map[string]int64{}, lists: map[versioned]string{}, gets: map[versioned]version{}}
}

// addEntities adds entities that readers query.
func (h *history) addEntities(kind state.Kind, cluster string, arns ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, arn := range arns {
		h.entities = append(h.entities, state.Key{Kind: kind, Cluster: cluster, ARN: arn})
	}
}

// listPrefixes maps the lists that readers query to their prefixes in etcd.
var listPrefixes = map[string]string{
	"/v1/tasks": "ecs/task/", "/v1/tasks?cluster=other": "ecs/task/other/", "/v1/instances": "ecs/instance/",
}

// read sends a random query. It reports whether the answer is consistent with the history.
func (h *history) read(transport *http.Transport, url string, chance *rand.Rand) bool {
	h.mu.Lock()
	key := h.entities[max(0, len(h.entities)-1-chance.IntN(20))] // one of the newest, which still change
	paths := []string{"/v1/tasks", "/v1/tasks?cluster=other", "/v1/instances"}
	h.mu.Unlock()
	defer h.reads.Add(1)
	if chance.IntN(3) == 0 {
		return h.list(transport, url, paths[chance.IntN(len(paths))])
	}
	return h.get(transport, url, key)
}

// before returns the highest version of a path that any reader has received.
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
	status, header, body, ok := h.request(transport, url+path)
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
	if !assert.GreaterOrEqual(h.t, record, shown, "%s: older than an earlier read", path) ||
		!assert.GreaterOrEqual(h.t, record, stored, "%s: older than etcd before the read", path) {
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
	return assert.GreaterOrEqual(h.t, of.version, committed.Header.Revision,
		"%s: the state is older than etcd was before the read", path)
}

func (h *history) list(transport *http.Transport, url, path string) bool {
	shown := h.before(path)
	newest, err := h.client.Get(h.t.Context(), listPrefixes[path], clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithLimit(1),
		clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
	if !assert.NoError(h.t, err) {
		return false
	}
	status, _, body, ok := h.request(transport, url+path)
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
	if !assert.GreaterOrEqual(h.t, of.version, shown, "%s: older than an earlier read", path) ||
		!assert.GreaterOrEqual(h.t, highest, stored, "%s: older than etcd before the read", path) ||
		!assert.GreaterOrEqual(h.t, of.version, newest.Header.Revision,
			"%s: the state is older than etcd was before the read", path) {
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

// list is the part of an answer that the check needs.
type list struct {
	Items []struct {
		Metadata struct{ EntityVersion string }
		Entity   struct{ TaskARN, ContainerInstanceARN, LastStatus, Status string }
	}
	Metadata struct{ EntityVersion string }
}

func (h *history) request(transport *http.Transport, url string) (status int, header http.Header, body []byte,
	ok bool) {
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
	n, _ := strconv.ParseInt(version, 10, 64) // an invalid version counts as the oldest
	return n
}

// equalsEtcd compares every answer with etcd at its version.
func (h *history) equalsEtcd() {
	h.t.Helper()
	for of, body := range h.lists {
		held, err := h.client.Get(h.t.Context(), listPrefixes[of.path], clientv3.WithPrefix(), clientv3.WithRev(of.version))
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

// statusOf returns the status of a record in etcd.
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
