package robustness

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ECS describes the stopped tasks of a cluster that exists again under its name. An event must not bring them back.
func TestEtcdWatch_LetsOnlyECSBringBackTasksOfARecreatedCluster(t *testing.T) {
	const (
		task    = "arn:aws:ecs:us-east-1:123456789012:task/default/a"
		key     = "ecs/task/default/" + task
		cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/default"
	)
	fromECS := write(3, "3", key)
	event := write(3, "3", key)
	event.Kv.Value = []byte(strings.Replace(string(event.Kv.Value), "{", `{"id":"1",`, 1))
	recreate := func(w *etcdWatch) { w.recreations.begin(cluster) }
	for name, tc := range map[string]struct {
		before     func(*etcdWatch)
		returns    *clientv3.Event
		violations int
	}{
		"from ECS":            {recreate, fromECS, 0},
		"by an event":         {recreate, event, 1},
		"of an older cluster": {func(*etcdWatch) {}, fromECS, 1},
		"of another cluster":  {func(w *etcdWatch) { w.recreations.begin(cluster + "2") }, fromECS, 1},
		"of a cluster created long ago": {func(w *etcdWatch) {
			w.recreations.set(cluster, time.Now().Add(-reconcileMargin))
		}, fromECS, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newEtcdWatch(&system{history: newTestHistory(t)})
			w.receive(write(1, "2", key))
			tc.before(w)
			w.receive(write(2, "", key))
			w.receive(tc.returns)
			assert.Equal(t, tc.violations, w.history.violationCount())
		})
	}
}

func TestClusterOf_NamesTheClusterOfALongARN(t *testing.T) {
	const place = "arn:aws:ecs:us-east-1:123456789012:"
	for arn, want := range map[string]string{
		place + "task/prod/a":               place + "cluster/prod",
		place + "container-instance/prod/a": place + "cluster/prod",
		place + "task/a":                    "",
		"a":                                 "",
	} {
		assert.Equal(t, want, clusterOf(arn), arn)
	}
}
