package etcd_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/testenv"
)

func eventsAt(revisions ...int64) clientv3.WatchResponse {
	response := clientv3.WatchResponse{}
	for _, revision := range revisions {
		response.Events = append(response.Events, &clientv3.Event{
			Kv: &mvccpb.KeyValue{Key: []byte("ecs/task/a"), ModRevision: revision},
		})
	}
	return response
}

func progressAt(revision int64) clientv3.WatchResponse {
	return clientv3.WatchResponse{Header: &pb.ResponseHeader{Revision: revision}}
}

func TestWatchOrder_DetectsLateEvents(t *testing.T) {
	for name, c := range map[string]struct {
		responses []clientv3.WatchResponse
		late      bool
	}{
		"events in order":                {responses: []clientv3.WatchResponse{eventsAt(11), eventsAt(12, 12, 14)}},
		"progress after its events":      {responses: []clientv3.WatchResponse{eventsAt(11), progressAt(11), eventsAt(12)}},
		"progress that repeats itself":   {responses: []clientv3.WatchResponse{progressAt(12), progressAt(12), eventsAt(13)}},
		"progress before its event":      {responses: []clientv3.WatchResponse{progressAt(11), eventsAt(11)}, late: true},
		"an older progress comes second": {responses: []clientv3.WatchResponse{progressAt(12), progressAt(11), eventsAt(12)}, late: true},
		"an event twice":                 {responses: []clientv3.WatchResponse{eventsAt(11), eventsAt(11)}, late: true},
		"an event before the watch":      {responses: []clientv3.WatchResponse{eventsAt(10)}, late: true},
	} {
		t.Run(name, func(t *testing.T) {
			metrics := prometheus.NewRegistry()
			m := etcd.NewMonitor(testenv.Logger(t), metrics)
			order := m.WatchOrder(10)
			last := len(c.responses) - 1
			for _, response := range c.responses[:last] {
				assert.NoError(t, order.Check(response))
			}
			if err := order.Check(c.responses[last]); c.late {
				assert.ErrorIs(t, err, etcd.ErrWatchOrder)
				assert.Equal(t, 1.0, testenv.Metric(t, metrics, "etcd_watch_order_violations_total"))
			} else {
				assert.NoError(t, err)
				assert.Zero(t, testenv.Metric(t, metrics, "etcd_watch_order_violations_total"))
			}
		})
	}
}
