package robustness

import (
	"io"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func newTestHistory(t *testing.T) *history {
	t.Helper()
	h, err := newHistory(t.TempDir(), io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.close()) })
	return h
}

// write returns the watch event of a put, or of a deletion if version is "".
func write(revision int64, version, key string) *clientv3.Event {
	value := `{"detail":{"version":` + version + `}}`
	kv := &mvccpb.KeyValue{Key: []byte(key), ModRevision: revision, Value: []byte(value)}
	if version == "" {
		return &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: kv}
	}
	return &clientv3.Event{Kv: kv}
}

func TestEtcdWatch_ReportsWritesInTheWrongOrder(t *testing.T) {
	const key = "ecs/task/default/arn:aws:ecs:us-east-1:123456789012:task/default/a"
	other, probe := "ecs/launch/x/y", "ecs/task/probe/"+probeARN(1, 1)
	for name, tc := range map[string]struct {
		events     []*clientv3.Event
		violations int
	}{
		"accepts a newer version":        {[]*clientv3.Event{write(1, "1", key), write(2, "3", key)}, 0},
		"accepts the same version":       {[]*clientv3.Event{write(1, "2", key), write(2, "2", key)}, 0},
		"reports an older version":       {[]*clientv3.Event{write(1, "2", key), write(2, "1", key)}, 1},
		"reports a write after deletion": {[]*clientv3.Event{write(1, "2", key), write(2, "", key), write(3, "3", key)}, 1},
		"ignores the order of probes":    {[]*clientv3.Event{write(1, "2", probe), write(2, "1", probe)}, 0},
		"ignores other keys":             {[]*clientv3.Event{write(1, "2", other), write(2, "1", other)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newEtcdWatch(&system{history: newTestHistory(t)})
			for _, e := range tc.events {
				w.receive(e)
			}
			assert.Equal(t, tc.violations, w.history.violationCount())
		})
	}
}

func TestStreamClient_ReportsDifferencesFromEtcd(t *testing.T) {
	const key, arn = "ecs/task/default/a", "a"
	written := map[string][]change{key: {
		{revision: 5, version: 1}, {revision: 7, version: 2}, {revision: 9, deleted: true},
	}}
	line := func(version string, deleted bool) (item recordJSON) {
		item.Metadata.EntityVersion, item.Metadata.Deleted, item.Entity.TaskARN = version, deleted, arn
		return item
	}
	for name, tc := range map[string]struct {
		listed     int64
		lines      []recordJSON
		violations int
	}{
		"accepts every change": {5, []recordJSON{line("7", false), line("9", true), {}}, 0},
		"ignores repeated lines": {5, []recordJSON{
			line("5", false), line("7", false), line("7", false), line("9", true)}, 0},
		"reports a missing change":              {5, []recordJSON{line("9", true)}, 1},
		"reports a missing deletion":            {5, []recordJSON{line("7", false)}, 1},
		"reports a deletion without its mark":   {5, []recordJSON{line("7", false), line("9", false)}, 1},
		"reports a change that was not written": {5, []recordJSON{line("7", false), line("8", false), line("9", true)}, 1},
		"reports a list that differs":           {0, []recordJSON{line("7", false), line("9", true)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := &streamClient{system: &system{history: newTestHistory(t)}, kind: "tasks"}
			g := &segment{
				from: 6, to: 6,
				listed: map[string]int64{}, newest: map[string]int64{}, received: map[string][]change{},
			}
			if tc.listed > 0 {
				g.listed[arn], g.newest[arn] = tc.listed, tc.listed
			}
			s.segments = append(s.segments, g)
			for _, l := range tc.lines {
				s.receive(g, l)
			}
			var heartbeat recordJSON
			heartbeat.Metadata.EntityVersion = "12"
			s.receive(g, heartbeat)
			s.check(written, 1)
			assert.Equal(t, tc.violations, s.history.violationCount())
		})
	}
}

func TestStreamClient_KeepsACopyAndDropsCheckedLists(t *testing.T) {
	s := &streamClient{system: &system{history: newTestHistory(t)}, kind: "instances"}
	begin := func(from int64, listed map[string]int64) *segment {
		g := &segment{
			from: from, to: from, listed: listed, newest: maps.Clone(listed), received: map[string][]change{},
		}
		s.segments = append(s.segments, g)
		return g
	}
	line := func(arn, version string, deleted bool) (item recordJSON) {
		item.Metadata.EntityVersion, item.Metadata.Deleted, item.Entity.ContainerInstanceARN = version, deleted, arn
		return item
	}
	assert.Empty(t, s.copy(), "before the first list")
	first := begin(3, map[string]int64{"a": 1, "b": 2})
	s.receive(first, line("a", "4", false))
	s.receive(first, line("b", "5", true))
	s.receive(first, line("c", "6", false))
	assert.Equal(t, map[string]int64{"a": 4, "c": 6}, s.copy())

	begin(9, map[string]int64{"a": 4, "c": 6})
	written := map[string][]change{
		"ecs/instance/default/a": {{revision: 1, version: 1}, {revision: 4, version: 2}},
		"ecs/instance/default/b": {{revision: 2, version: 1}, {revision: 5, deleted: true}},
		"ecs/instance/default/c": {{revision: 6, version: 1}},
	}
	s.checkCompleted(written, 1)
	assert.Zero(t, s.history.violationCount())
	assert.Len(t, s.segments, 1, "the client may continue the latest list")
	assert.Equal(t, map[string]int64{"a": 4, "c": 6}, s.copy())

	begin(10, map[string]int64{"a": 4})
	s.check(written, 1)
	assert.Equal(t, 1, s.history.violationCount(), "the latest list lacks c")
}
