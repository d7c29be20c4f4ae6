package robustness

import (
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func reported(t *testing.T) *report {
	t.Helper()
	r, err := newReport(t.TempDir(), io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.close()) })
	return r
}

func written(revision int64, version, key string) *clientv3.Event {
	kv := &mvccpb.KeyValue{Key: []byte(key), ModRevision: revision, Value: []byte(`{"detail":{"version":` + version + `}}`)}
	if version == "" {
		return &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: kv}
	}
	return &clientv3.Event{Kv: kv}
}

func TestWritesToTheStoreAreJudged(t *testing.T) {
	const key = "ecs/task/default/arn:aws:ecs:us-east-1:123456789012:task/default/a"
	for name, tc := range map[string]struct {
		events []*clientv3.Event
		broken int
	}{
		"newer and newer":             {[]*clientv3.Event{written(1, "1", key), written(2, "3", key)}, 0},
		"of the same version":         {[]*clientv3.Event{written(1, "2", key), written(2, "2", key)}, 0},
		"an older one":                {[]*clientv3.Event{written(1, "2", key), written(2, "1", key)}, 1},
		"back after it was deleted":   {[]*clientv3.Event{written(1, "2", key), written(2, "", key), written(3, "3", key)}, 1},
		"a probe may do as it wishes": {[]*clientv3.Event{written(1, "2", "ecs/task/probe/"+probeARN(1, 1)), written(2, "1", "ecs/task/probe/"+probeARN(1, 1))}, 0},
		"no record of an entity":      {[]*clientv3.Event{written(1, "2", "ecs/launch/x/y"), written(2, "1", "ecs/launch/x/y")}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStoreWatch(&world{report: reported(t)})
			for _, e := range tc.events {
				s.see(e)
			}
			assert.Equal(t, tc.broken, s.report.failed())
		})
	}
}

func TestStreamsAreHeldAgainstTheStore(t *testing.T) {
	const key, arn = "ecs/task/default/a", "a"
	wrote := map[string][]change{key: {{revision: 5, version: 1}, {revision: 7, version: 2}, {revision: 9, deleted: true}}}
	line := func(version string, deleted bool) (item shownTask) {
		item.Metadata.EntityVersion, item.Metadata.Deleted, item.Entity.TaskARN = version, deleted, arn
		return item
	}
	for name, tc := range map[string]struct {
		listed int64
		lines  []shownTask
		broken int
	}{
		"all of it":                {5, []shownTask{line("7", false), line("9", true), {}}, 0},
		"again what is held":       {5, []shownTask{line("5", false), line("7", false), line("7", false), line("9", true)}, 0},
		"a change is missed":       {5, []shownTask{line("9", true)}, 1},
		"a deletion is missed":     {5, []shownTask{line("7", false)}, 1},
		"a deletion is not called": {5, []shownTask{line("7", false), line("9", false)}, 1},
		"what was never written":   {5, []shownTask{line("7", false), line("8", false), line("9", true)}, 1},
		"the list is not etcd's":   {0, []shownTask{line("7", false), line("9", true)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := &streamClient{world: &world{report: reported(t)}, kind: "tasks"}
			g := &segment{from: 6, to: 6, listed: map[string]int64{}, held: map[string]int64{}, told: map[string][]change{}}
			if tc.listed > 0 {
				g.listed[arn], g.held[arn] = tc.listed, tc.listed
			}
			s.segments = append(s.segments, g)
			for _, l := range tc.lines {
				s.take(g, l)
			}
			var heartbeat shownTask
			heartbeat.Metadata.EntityVersion = "12"
			s.take(g, heartbeat)
			s.check(wrote, 1)
			assert.Equal(t, tc.broken, s.report.failed())
		})
	}
}
