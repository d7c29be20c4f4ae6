// Package clusterstate is the cluster-state-service: a near-real-time copy of ECS container instances and tasks.
package clusterstate

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/api"
	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/cluster-state-service/reconcile"
	"github.com/blox/blox/cluster-state-service/source"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/cluster-state-service/ui"
	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/tlsconfig"
	"github.com/blox/blox/internal/version"
)

// Run serves until ctx ends, then stops every component and returns nil. It returns an error if it cannot start or
// loses its listener. It retries every failure of etcd, the queue and ECS.
func Run(ctx context.Context, cfg Config, log logrus.FieldLogger) error {
	registry, prefixed := newRegistry(cfg)
	monitor := etcd.NewMonitor(log, prefixed)
	clients, err := newClients(ctx, cfg, monitor, log)
	if err != nil {
		return err
	}
	defer clients.close()
	server, err := access.Listen(access.Config{
		Options: cfg.Access, Bind: cfg.Bind, Listener: cfg.Listener, ReadOnly: cfg.ReadOnly, TLS: cfg.TLS,
		Policy: api.Policy, Log: log, Metrics: prefixed,
	})
	if err != nil {
		return err
	}

	tasks := &state.TaskDecoder{}
	cache := cache.New(cache.Config{
		WatchClient: clients.etcdWatch, Client: clients.etcd, Monitor: monitor,
		Tasks: taskCodec(tasks), Instances: instanceCodec, Log: log, Metrics: registry,
	})
	store := store.New(clients.etcd, cache.StoredVersion, registry).WithMonitor(monitor)
	replica := replicaName()
	sources, err := newSources(cfg, clients.aws, store, cache, replica, log, registry)
	if err != nil {
		return err
	}
	writer := newWriter(cfg, store, cache, sources, tasks, log, registry)
	maintainer := newMaintainer(cfg, store, cache, replica, log)
	handler := api.New(api.Config{
		Cache: cache, Sources: sources.Regions, OutOfSpace: store.OutOfSpace,
		QueueProblems: sources.QueueProblems, RefreshInstances: sources.RefreshInstances,
		Progress: func() state.IngestProgress {
			return state.IngestProgress{ReceivedAt: sources.ReceivedAt(), NewestEventAt: writer.NewestEventAt()}
		},
		Metrics: httpserver.MetricsHandler(registry), UI: ui.Handler(ui.Config{SchedulerURL: cfg.SchedulerURL}), Log: log,
	})

	log.WithFields(server.LogFields()).WithFields(logrus.Fields{
		"version": version.String(), "region": clients.aws.Region,
		"sources": sources.Specs, "etcd": cfg.Etcd.Endpoints, "tls": cfg.TLS.Cert != "",
	}).Info("cluster-state-service started")
	group, ctx := errgroup.WithContext(ctx)
	// In-flight requests need the cache after ctx ends.
	cacheCtx, stopCache := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCache()
	group.Go(func() error { return monitor.Run(cacheCtx, clients.etcd) })
	group.Go(func() error { return cache.Run(cacheCtx) })
	group.Go(func() error { return writer.Run(ctx) })
	group.Go(func() error { return sources.Run(ctx, writer) })
	group.Go(func() error { return maintainer.Run(ctx) })
	group.Go(func() error {
		defer stopCache()
		return server.Serve(ctx, handler, httpserver.WithPanicText(api.Unexpected), httpserver.WithMetrics(prefixed))
	})
	return group.Wait()
}

// newRegistry returns the registry of all metrics, and one that prefixes the metrics of shared packages.
func newRegistry(cfg Config) (httpserver.Registry, prometheus.Registerer) {
	registry := cfg.Metrics
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	version.Register(registry, "cluster-state-service")
	prefixed := prometheus.WrapRegistererWithPrefix("blox_css_", registry)
	tlsconfig.RegisterExpiry(prefixed, map[string]tlsconfig.Files{"server": cfg.TLS, "etcd_client": cfg.Etcd.TLS})
	return registry, prefixed
}

// clients are the clients of the services that Run depends on.
type clients struct {
	aws       aws.Config
	etcd      *clientv3.Client
	etcdWatch *clientv3.Client // the cache's watch needs a connection of its own
}

// newClients makes no calls.
func newClients(ctx context.Context, cfg Config, monitor *etcd.Monitor, log logrus.FieldLogger) (c clients, err error) {
	if c.aws, err = awsconfig.Load(ctx, cfg.Getenv); err != nil {
		return c, err
	}
	if c.etcd, err = etcd.New(cfg.Etcd, log, monitor); err != nil {
		return c, err
	}
	if c.etcdWatch, err = etcd.New(cfg.Etcd, log, monitor); err != nil {
		c.etcd.Close()
	}
	return c, err
}

func (c clients) close() {
	c.etcdWatch.Close()
	c.etcd.Close()
}

// newSources returns the accounts and regions to serve: those that cfg lists, or that of the AWS SDK's settings.
func newSources(
	cfg Config, aws aws.Config, store *store.Store, cache *cache.Cache, replica string, log logrus.FieldLogger,
	metrics prometheus.Registerer,
) (*source.Sources, error) {
	specs, several := cfg.Sources, true
	if len(specs) == 0 && cfg.SourcesFile == "" {
		specs, several = []source.Spec{{Region: aws.Region, Queue: cfg.Queue}}, false
	}
	return source.New(source.Config{
		Specs: specs, File: cfg.SourcesFile, Several: several, AWS: aws, Getenv: cfg.Getenv,
		Store: store, Cache: cache, Replica: replica,
		ReconcileInterval: cfg.ReconcileInterval, StoppedTaskRetention: cfg.StoppedTaskRetention,
		ReadRate: cfg.ReadRate, LookupRate: cfg.LookupRate, ReconcileRate: cfg.ReconcileRate, Pollers: cfg.Pollers,
		Log: log, Metrics: metrics,
	})
}

// newMaintainer returns the maintainer of the records of all services that share etcd.
func newMaintainer(
	cfg Config, store *store.Store, cache *cache.Cache, replica string, log logrus.FieldLogger,
) *reconcile.Maintainer {
	return reconcile.NewMaintainer(reconcile.MaintainerConfig{
		Store: store, Compactor: store.NewCompactor(cfg.EtcdHistory, progress(cache), log),
		WaitCurrent: cache.WaitCurrent, Name: replica, Interval: cfg.ReconcileInterval,
		StoppedTaskRetention: cfg.StoppedTaskRetention, Log: log,
	})
}

// newWriter returns the writer of events, which verifies old ones with ECS.
func newWriter(
	cfg Config, store *store.Store, cache *cache.Cache, sources *source.Sources, tasks *state.TaskDecoder,
	log logrus.FieldLogger, metrics prometheus.Registerer,
) *ingest.Writer {
	return ingest.NewWriter(ingest.WriterConfig{
		Recorder: store, DecodeTask: tasks.Keep, BatchSize: cfg.EtcdBatchSize, Log: log, Metrics: metrics,
		Verification: ingest.Verification{
			Describer: sources, StoredVersion: cache.StoredVersion, ReconciledAt: cache.ReconciledAt,
		},
	})
}

// taskCodec decodes, orders and encodes the records of tasks for the cache.
func taskCodec(tasks *state.TaskDecoder) cache.Codec[state.Task, state.TaskSummary] {
	summarizer := &state.TaskSummarizer{}
	return cache.Codec[state.Task, state.TaskSummary]{
		Decode: tasks.Take, Version: func(t state.Task) int64 { return t.Version }, Summarize: summarizer.Summarize,
		Encode: api.EncodeTask, EncodeDeleted: api.EncodeDeleted,
	}
}

// instanceCodec does the same for container instances.
var instanceCodec = cache.Codec[state.Instance, state.Instance]{
	Decode: state.DecodeInstance, Version: func(i state.Instance) int64 { return i.Version },
	Summarize: (*state.Instance).Summary,
	Encode:    api.EncodeInstance, EncodeDeleted: api.EncodeDeleted,
}

// progress returns the compactor's view of the cache: the current etcd revision and the number of records written.
func progress(c *cache.Cache) func(context.Context) (revision, changes int64, err error) {
	return func(ctx context.Context) (revision, changes int64, err error) {
		snapshot, err := c.WaitCurrent(ctx)
		if err != nil {
			return 0, 0, err
		}
		return snapshot.Revision, snapshot.Changes, nil
	}
}

// replicaName returns a name for this process that is unique among the replicas that share etcd.
func replicaName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + uuid.NewString()[:8]
}
