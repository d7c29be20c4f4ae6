package e2e

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/engine"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/ratelimit"
	"github.com/blox/blox/internal/testenv"
)

// By the leader's own clock, its lease has ended. It still announces launches, which etcd accepts, but starts no tasks.
// Its contexts are not cancelled, as in a process that resumes after a pause and runs before its timers fire.
func TestLeader_StartsNothingAfterLeaseDeadline(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	css, _ := w.startCSS("127.0.0.1:0")
	log := newLogger(t, logrus.ErrorLevel)
	informerCache, err := informer.New(informer.Config{Endpoints: []string{css}, Log: log})
	require.NoError(t, err)
	records, clusters := store.New(w.client, log), clusterstate.Cluster{Informer: informerCache}
	cached := cache.New(records, log)
	scheduling := engine.New(engine.Config{
		Store: records, Cache: cached, Cluster: clusters, ECS: ecsapi.NewClients(ecsapi.Config{
			ECS: w.ecs(), CloudWatch: cloudwatch.New(cloudwatch.Options{}),
			NewLimits: func() ratelimit.Limits { return ratelimit.Limits{} },
		}),
		Log:               log,
		DeploymentHistory: 10,
		Workers:           1, Metrics: prometheus.NewRegistry(),
	})
	t.Cleanup(clusters.Follow(scheduling))
	cached.Subscribe(cache.Listener{
		EnvironmentChanged: scheduling.EnvironmentChanged, AttributesChanged: scheduling.ReadinessChanged,
	})
	var leaseValid atomic.Bool
	w.runService(func(ctx context.Context) error {
		parts, ctx := errgroup.WithContext(ctx)
		parts.Go(func() error { return informerCache.Run(ctx) })
		parts.Go(func() error { return cached.Run(ctx) })
		parts.Go(func() error {
			return records.Lead(ctx, "paused", 2*time.Second, func(ctx context.Context, term store.Term) error {
				leaseEnd := term.Until
				term.Until = func() time.Time {
					if leaseValid.Load() {
						return leaseEnd()
					}
					return time.Time{}
				}
				return scheduling.Run(ctx, term)
			})
		})
		return parts.Wait()
	})
	w.putRecord("ecs/environment/logs", strings.Replace(inProgressRecord(w.agent), `"busy"`, `"logs"`, 1))
	watching, cancel := context.WithCancel(t.Context())
	defer cancel()
	announced := 0
	for changes := range w.client.Watch(watching, "ecs/launch/logs/", clientv3.WithPrefix()) {
		for _, e := range changes.Events {
			if strings.Contains(string(e.Kv.Value), `"open"`) {
				announced++
			}
		}
		if announced > 4 {
			break
		}
	}
	assert.Zero(t, w.sim.Calls("StartTask"))
	leaseValid.Store(true)
	w.awaitOneTaskEach(newDeployment, instances...)
	w.assertNoDuplicates()
}

// Without leader election a replica schedules at once, although a stopped replica's election key remains.
func TestLeader_StartsAtOnceWithoutElection(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 1)
	w.putRecord("ecs/leader/daemon-scheduler/1", "stopped replica")
	d := w.startServices("--leader-elect=false")
	d.awaitReady()
	id := d.deploy(d.createEnvironment("logs"))
	w.awaitOneTaskEach(id, instances...)
	assert.NotEqual(t, "stopped replica", d.leader())
}

// An etcd restored from a backup lacks the tasks and launches started since. The cluster-state-service cannot reconcile
// with ECS yet and serves its outdated records.
func TestRestore_StartsNoDuplicates(t *testing.T) {
	t.Parallel()
	for name, restore := range map[string]func(w *system, css func(), d *scheduler) (restart func(css string)){
		"a new leader": func(w *system, css func(), d *scheduler) func(string) {
			d.stop()
			css()
			return func(css string) { w.startScheduler(css, "--start-confirm-timeout", "1s") }
		},
		"a leader that lists the cluster state again": func(_ *system, css func(), _ *scheduler) func(string) {
			css()
			return func(string) {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSystem(t)
			instances := w.sim.AddInstances("prod", 3)
			address, stop := w.startCSS("127.0.0.1:0")
			d := w.startScheduler(address, "--start-confirm-timeout", "1s")
			d.awaitReady()
			id := d.deploy(d.createEnvironment("logs"))
			d.awaitCompleted("logs", id)
			w.awaitOneTaskEach(id, instances...)
			testenv.Eventually(t, func() bool { return !w.hasOpenLaunches("logs") })
			restart := restore(w, stop, d)

			w.sim.SetFaults(ecssim.Faults{ServerErrors: map[string]float64{"ListClusters": 1}})
			for _, prefix := range []string{"ecs/task/", "ecs/launch/"} {
				_, err := w.client.Delete(t.Context(), prefix, clientv3.WithPrefix())
				require.NoError(t, err)
			}
			got, err := w.client.Get(t.Context(), "x")
			require.NoError(t, err)
			_, err = w.client.Compact(t.Context(), got.Header.Revision)
			require.NoError(t, err)
			w.startCSS(address)
			restart(address)
			testenv.Eventually(t, func() bool { return len(w.launchKeys()) == 3 }, "the running tasks have no launch records")
			added := w.sim.AddInstances("prod", 1)
			w.awaitOneTaskEach(id, append(instances, added...)...)
			w.assertNoDuplicates()
			w.sim.SetFaults(ecssim.Faults{})
		})
	}
}
