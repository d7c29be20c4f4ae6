package store

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

// The watch may tell of a DELETE before the Commit that preceded it goes on: its own write must not bring the record back.
func TestADeletedEnvironmentDoesNotRise(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	s.told = func(string) {}
	value, err := json.Marshal(env("logs"))
	require.NoError(t, err)
	key := []byte(environmentKey("logs"))
	put := func(revision int64) *clientv3.Event {
		return &clientv3.Event{Type: clientv3.EventTypePut, Kv: &mvccpb.KeyValue{Key: key, Value: value, CreateRevision: 5, ModRevision: revision}}
	}
	s.changed(kinds[0], []*clientv3.Event{put(5)})
	e, _, err := s.Copied("logs")
	require.NoError(t, err)
	s.changed(kinds[0], []*clientv3.Event{put(6), {Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: key, ModRevision: 7}}})
	s.written(Changes{Name: "logs", Incarnation: 5, Environment: &e}, 6)
	_, _, err = s.Copied("logs")
	assert.ErrorIs(t, err, environment.ErrNotFound)
}

func TestWhatCouldNotBeReadAndIsGoneIsForgotten(t *testing.T) {
	s := New(testenv.Etcd(t), testenv.Logger(t))
	s.told = func(string) {}
	s.listed(kinds[0], []*mvccpb.KeyValue{{Key: []byte(environmentKey("logs")), Value: []byte("{"), ModRevision: 5}})
	s.listed(kinds[0], nil)
	_, _, err := s.Copied("logs")
	assert.ErrorIs(t, err, environment.ErrNotFound)
}

// An etcd that has no leader for the moment is away, not broken.
func TestEtcdWithoutALeaderIsSilent(t *testing.T) {
	for _, err := range []error{rpctypes.ErrLeaderChanged, rpctypes.ErrNoLeader, rpctypes.ErrTimeout, rpctypes.ErrTimeoutDueToLeaderFail} {
		assert.ErrorIs(t, silent(fmt.Errorf("x: %w", err)), environment.ErrStoreUnavailable, err.Error())
	}
	assert.NotErrorIs(t, silent(rpctypes.ErrTooManyRequests), environment.ErrStoreUnavailable)
}
