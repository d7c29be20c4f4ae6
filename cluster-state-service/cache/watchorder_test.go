package cache

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/testenv"
)

// earlyProgress precedes the next events of a watch with the progress notification that etcd should send after them.
type earlyProgress struct {
	grpc.ClientStream
	armed *atomic.Bool
	late  *pb.WatchResponse // to be delivered next
}

func (s *earlyProgress) RecvMsg(message any) error {
	response, ok := message.(*pb.WatchResponse)
	if !ok {
		return s.ClientStream.RecvMsg(message)
	}
	if late := s.late; late != nil {
		s.late = nil
		response.Header, response.WatchId, response.Events = late.Header, late.WatchId, late.Events
		return nil
	}
	if err := s.ClientStream.RecvMsg(message); err != nil {
		return err
	}
	if len(response.Events) > 0 && s.armed.Swap(false) {
		s.late = &pb.WatchResponse{Header: response.Header, WatchId: response.WatchId, Events: response.Events}
		response.WatchId, response.Events = -1, []*mvccpb.Event{} // to all watches of the stream
	}
	return nil
}

// An etcd that announces a revision before its events may have lost some. The cache trusts nothing that it holds.
func TestCache_ReloadsWhenProgressPrecedesEvents(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := server.Client()
	var armed atomic.Bool
	watchClient, err := clientv3.New(clientv3.Config{
		Endpoints: server.Endpoints(),
		DialOptions: []grpc.DialOption{grpc.WithStreamInterceptor(func(
			ctx context.Context, d *grpc.StreamDesc, conn *grpc.ClientConn, method string, next grpc.Streamer,
			options ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			stream, err := next(ctx, d, conn, method, options...)
			return &earlyProgress{ClientStream: stream, armed: &armed}, err
		})},
	})
	require.NoError(t, err)
	t.Cleanup(func() { watchClient.Close() })
	cache := build(t, server, watchClient, 0)
	registry := prometheus.NewRegistry()
	cache.monitor, cache.metrics = etcd.NewMonitor(cache.log, registry), newMetrics(cache, registry)
	run(t, cache)
	before, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changes, err := cache.Watch(ctx, state.KindTask, WatchOptions{})
	require.NoError(t, err)
	armed.Store(true)
	revision := write(t, client, "a", 1)
	for _, err := range changes {
		assert.ErrorIs(t, err, errInterrupted, "the stream shows a change that others may have preceded")
	}
	assert.NoError(t, ctx.Err())
	s, err := cache.WaitCurrent(t.Context())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, s.Revision, max(revision, before.Revision))
	assert.NotNil(t, s.Tasks.Get(keyOf("a")))
	assert.Equal(t, 1.0, testenv.Metric(t, registry, "etcd_watch_order_violations_total"))
	assert.Equal(t, 2.0, testenv.Metric(t, registry, "blox_css_cache_loads_total"))
}
