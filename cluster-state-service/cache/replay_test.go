package cache

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/cluster-state-service/state"
)

func BenchmarkCache_EncodeEvent(b *testing.B) {
	c := New(Config{Tasks: Codec[state.Task, state.TaskSummary]{
		Decode: state.DecodeTask, Version: func(t state.Task) int64 { return t.Version },
		Summarize:     (*state.Task).Summary,
		Encode:        func(state.Task, int64) []byte { return nil },
		EncodeDeleted: func(state.Key, int64) []byte { return nil },
	}})
	for name, event := range map[string]*clientv3.Event{
		"put": {Type: clientv3.EventTypePut, Kv: &mvccpb.KeyValue{
			Key: []byte(keyOf("a")), Value: []byte(valueOf("a", 1)), ModRevision: 7,
		}},
		"delete": {Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: []byte(keyOf("a")), ModRevision: 8}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.encodeEvent(event) == nil {
					b.Fatal("event was skipped")
				}
			}
		})
	}
}

// A replay needs no index. Two B-trees for each event would take 10 allocations.
func TestCache_EncodeEventBuildsNoIndex(t *testing.T) {
	c := New(Config{Instances: Codec[state.Instance, state.Instance]{
		EncodeDeleted: func(state.Key, int64) []byte { return make([]byte, 0, 1) },
	}})
	key := "ecs/instance/prod/arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/1"
	event := &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: 8}}
	allocations := testing.AllocsPerRun(100, func() { c.encodeEvent(event) })
	assert.LessOrEqual(t, allocations, 3.0, "key, line and change")
}
