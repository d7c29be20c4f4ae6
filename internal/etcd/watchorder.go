package etcd

import (
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrWatchOrder means that a watch delivered an event at or below a revision that etcd had announced before. Other
// events may be lost, so a copy that follows the watch has to be loaded again.
var ErrWatchOrder = errors.New("etcd broke the order of its watch")

// WatchOrder checks that one watch delivers its events in the order of their revisions.
type WatchOrder struct {
	monitor   *Monitor // counts violations; may be nil
	announced int64    // no event at or below this revision may follow
}

// WatchOrder returns the check of a watch that begins after revision.
func (m *Monitor) WatchOrder(revision int64) *WatchOrder { return &WatchOrder{m, revision} }

// Check returns ErrWatchOrder if an event of the watch's next response is late.
func (o *WatchOrder) Check(response clientv3.WatchResponse) error {
	for _, e := range response.Events {
		if e.Kv.ModRevision <= o.announced {
			if o.monitor != nil {
				o.monitor.violations.Inc()
			}
			return fmt.Errorf("%w: event at revision %d of %s after revision %d",
				ErrWatchOrder, e.Kv.ModRevision, e.Kv.Key, o.announced)
		}
	}
	if n := len(response.Events); n > 0 {
		o.announced = response.Events[n-1].Kv.ModRevision
	} else if response.IsProgressNotify() {
		o.announced = max(o.announced, response.Header.Revision)
	}
	return nil
}
