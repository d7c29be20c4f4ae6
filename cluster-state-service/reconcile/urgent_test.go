package reconcile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// stall makes ListContainerInstances of clusters wait until its caller leaves. slow says of which.
func (f *fixture) stall(slow func(cluster string) bool) {
	f.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ListContainerInstances") {
			body, err := io.ReadAll(r.Body)
			assert.NoError(f.t, err)
			r.Body = io.NopCloser(bytes.NewReader(body))
			var in struct{ Cluster string }
			assert.NoError(f.t, json.Unmarshal(body, &in))
			if slow(in.Cluster[strings.LastIndex(in.Cluster, "/")+1:]) {
				<-r.Context().Done()
				return
			}
		}
		f.Sim.ServeHTTP(w, r)
	}))
}

// More periodic reconciliations hang than there are workers. Lost events of another cluster are repaired all the same.
func TestReconciler_RepairsLostEventsBesideSlowReconciliations(t *testing.T) {
	f := newFixture(t, ecssim.Config{Faults: ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}}})
	for n := range concurrentClusters + 2 {
		f.AddInstances(fmt.Sprint("slow-", n), 1)
	}
	f.AddInstances("victim", 1)
	f.start(Config{Interval: time.Second, CheckInterval: 10 * time.Millisecond})
	f.awaitState()
	var stalled atomic.Int32
	f.stall(func(cluster string) bool {
		slow := strings.HasPrefix(cluster, "slow-")
		if slow {
			stalled.Add(1)
		}
		return slow
	})
	testenv.Eventually(t, func() bool { return stalled.Load() >= periodicClusters })
	f.AddInstances("victim", 1)
	f.awaitState()
	assert.LessOrEqual(t, stalled.Load(), int32(concurrentClusters), "none of them had to end first")
}

// The periodic reconciliation of a cluster may take many minutes. Lost events do not wait for its end.
func TestReconciler_RepairsLostEventsOfAClusterThatIsBeingReconciled(t *testing.T) {
	f := newFixture(t, ecssim.Config{Faults: ecssim.Faults{Events: ecssim.EventFaults{Drop: 1}}})
	f.AddInstances("default", 1)
	metrics := prometheus.NewRegistry()
	f.start(Config{Interval: time.Second, CheckInterval: 10 * time.Millisecond, Metrics: metrics})
	f.awaitState()
	var calls atomic.Int32
	f.stall(func(string) bool { return calls.Add(1) == 1 })
	testenv.Eventually(t, func() bool { return calls.Load() == 1 })
	f.AddInstances("default", 1)
	f.awaitState()
	assert.Zero(t, testenv.Metric(t, metrics, "blox_css_reconciliation_cluster_failures_total"), "it did not time out")
}
