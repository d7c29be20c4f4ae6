package cache

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/testenv"
)

// unread returns a cache without etcd, and its loader of environments.
func unread(t *testing.T) (*Cache, *loader) {
	c := New(store.New(nil, testenv.Logger(t)), testenv.Logger(t))
	return c, &loader{cache: c, kind: kinds[0]}
}

// The watch may return a deletion before the commit that preceded it is applied.
func TestLoader_KeepsADeletionThatPrecedesAnOwnCommit(t *testing.T) {
	c, l := unread(t)
	value, err := json.Marshal(env("logs"))
	require.NoError(t, err)
	key := []byte(store.EnvironmentKey("logs"))
	put := func(revision int64) *clientv3.Event {
		kv := &mvccpb.KeyValue{Key: key, Value: value, CreateRevision: 5, ModRevision: revision}
		return &clientv3.Event{Type: clientv3.EventTypePut, Kv: kv}
	}
	deletion := &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: key, ModRevision: 7}}
	l.Replace(nil, 4)
	l.Apply([]*clientv3.Event{put(5)})
	e, _, err := c.Environment("logs")
	require.NoError(t, err)
	l.Apply([]*clientv3.Event{put(6), deletion})
	c.Committed(store.Changes{Name: "logs", Incarnation: 5, Environment: &e}, 6)
	_, _, err = c.Environment("logs")
	assert.ErrorIs(t, err, environment.ErrNotFound)
}

// While the watch was lost, records may have been deleted. Only the next list shows that.
func TestLoader_ForgetsRecordsThatTheNextListLacks(t *testing.T) {
	attribute := environment.AttributeKey{Name: "ready", Instance: "arn:i/1"}
	for prefix, tc := range map[string]struct {
		key, value string
		held       func(*Cache) bool
	}{
		store.EnvironmentPrefix: {store.EnvironmentKey("logs"), `{"Name":"logs"}`, func(c *Cache) bool {
			return len(c.Names()) > 0
		}},
		store.LaunchPrefix: {store.LaunchKey("logs", "arn:i/1"), `{"Instance":"arn:i/1"}`, func(c *Cache) bool {
			_, launches, _ := c.Environment("logs")
			return len(launches) > 0
		}},
		store.AttributePrefix: {store.AttributeKey(attribute), `{"Cluster":"prod"}`, func(c *Cache) bool {
			_, attributes := c.ReadinessInputs("prod")
			return len(attributes) > 0
		}},
		store.ConditionsPrefix: {store.ConditionsKey("logs"), `{"Conditions":[{"type":"Throttled"}]}`, func(c *Cache) bool {
			return len(c.ObservedConditions("logs").Conditions) > 0
		}},
		store.HealthPrefix: {store.HealthKey("logs", "arn:t/1"), `{"Status":"HEALTHY"}`, func(c *Cache) bool {
			return len(c.TaskHealth("logs")) > 0
		}},
	} {
		t.Run(prefix, func(t *testing.T) {
			c, l := unread(t)
			n := slices.IndexFunc(kinds, func(k kind) bool { return k.prefix == prefix })
			l.kind = kinds[n]
			record := &mvccpb.KeyValue{Key: []byte(tc.key), Value: []byte(tc.value), CreateRevision: 5, ModRevision: 5}
			l.Replace([]*mvccpb.KeyValue{record}, 5)
			require.True(t, tc.held(c))
			l.Replace(nil, 6)
			assert.False(t, tc.held(c))
		})
	}
	assert.Len(t, kinds, 5, "add a row for the new kind")
}

func TestLoader_ForgetsADeletedMalformedRecord(t *testing.T) {
	c, l := unread(t)
	l.Replace([]*mvccpb.KeyValue{{Key: []byte(store.EnvironmentKey("logs")), Value: []byte("{"), ModRevision: 5}}, 5)
	l.Replace(nil, 6)
	_, _, err := c.Environment("logs")
	assert.ErrorIs(t, err, environment.ErrNotFound)
}
