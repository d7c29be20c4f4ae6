// Package clusterstate is the cluster-state-service: a near-real-time copy of ECS container instances and tasks.
package clusterstate

import (
	"cmp"
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/api"
	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/cluster-state-service/ingest/kinesis"
	"github.com/blox/blox/cluster-state-service/reconcile"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/cluster-state-service/ui"
	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/ratelimit"
	"github.com/blox/blox/internal/tlsconfig"
	"github.com/blox/blox/internal/version"
)

// Run serves until ctx ends, then stops every component and returns nil. It returns an error if it cannot start or
// loses its listener. It retries every failure of etcd, the queue and ECS.
func Run(ctx context.Context, cfg Config, log logrus.FieldLogger) error {
	registry, prefixed := newRegistry(cfg)
	monitor := etcd.NewMonitor(log, prefixed)
	clients, err := newClients(ctx, cfg, monitor, log, prefixed)
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
	reconciler, maintainer := newReconciler(cfg, clients, store, cache, replica, log, registry)
	writer := newWriter(cfg, store, cache, reconciler, tasks, log, registry)
	consumer, connectivity, err := newConsumer(cfg, clients.aws, store, writer, replica, log, registry)
	if err != nil {
		return err
	}
	handler := api.New(api.Config{
		Cache: cache, Region: reconciler.Region, OutOfSpace: store.OutOfSpace,
		QueueProblem: connectivity.Problem, RefreshInstances: reconciler.RefreshInstances, Progress: writer.Progress,
		Metrics: httpserver.MetricsHandler(registry), UI: ui.Handler(ui.Config{SchedulerURL: cfg.SchedulerURL}), Log: log,
	})

	log.WithFields(server.LogFields()).WithFields(logrus.Fields{
		"version": version.String(), "region": clients.aws.Region,
		"queue": cfg.Queue, "etcd": cfg.Etcd.Endpoints, "tls": cfg.TLS.Cert != "",
	}).Info("cluster-state-service started")
	group, ctx := errgroup.WithContext(ctx)
	// In-flight requests need the cache after ctx ends.
	cacheCtx, stopCache := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCache()
	group.Go(func() error { return monitor.Run(cacheCtx, clients.etcd) })
	group.Go(func() error { return cache.Run(cacheCtx) })
	group.Go(func() error { return writer.Run(ctx) })
	group.Go(func() error {
		if cache.WaitLoaded(ctx) != nil { // before, every entity would be unknown to ingest
			return nil
		}
		return consumer.Run(ctx)
	})
	group.Go(func() error { return reconciler.Run(ctx) })
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
	ecs       *ecs.Client
	etcd      *clientv3.Client
	etcdWatch *clientv3.Client // the cache's watch needs a connection of its own
}

// newClients makes no calls.
func newClients(
	ctx context.Context, cfg Config, monitor *etcd.Monitor, log logrus.FieldLogger, metrics prometheus.Registerer,
) (c clients, err error) {
	if c.aws, err = awsconfig.Load(ctx, cfg.Getenv); err != nil {
		return c, err
	}
	c.aws = awsconfig.WithMetrics(c.aws, metrics)
	client, err := awsconfig.ECS(c.aws, cfg.Getenv)
	if err != nil {
		return c, err
	}
	limits := newLimits(cfg)
	metrics.MustRegister(limits)
	c.ecs = ecs.New(client.Options(), limits.Option)
	if c.etcd, err = etcd.New(cfg.Etcd, log, monitor); err != nil {
		return c, err
	}
	if c.etcdWatch, err = etcd.New(cfg.Etcd, log, monitor); err != nil {
		c.etcd.Close()
	}
	return c, err
}

// firstPart is the part of ECS's token buckets that the first reconciliation uses at first.
const firstPart = .8

// periodicBurst is the number of calls at once of a periodic reconciliation: those of one small cluster.
const periodicBurst = 5

func newLimits(cfg Config) ratelimit.ECS {
	limiter := func(burst, rate float64) *ratelimit.Limiter {
		return ratelimit.New(ratelimit.Bucket{Burst: burst, Rate: rate}, firstPart)
	}
	return ratelimit.ECS{
		ClusterReads:  limiter(ratelimit.ClusterReads.Burst, cfg.LookupRate),
		ResourceReads: limiter(ratelimit.ResourceReads.Burst, cfg.ReadRate),
	}
}

func (c clients) close() {
	c.etcdWatch.Close()
	c.etcd.Close()
}

// newReconciler returns the reconciler of the account and region of ECS, and the maintainer of all that share etcd.
func newReconciler(
	cfg Config, clients clients, store *store.Store, cache *cache.Cache, replica string, log logrus.FieldLogger,
	metrics prometheus.Registerer,
) (*reconcile.Reconciler, *reconcile.Maintainer) {
	reconciler := reconcile.New(reconcile.Config{
		ECS: clients.ecs, RegionName: clients.aws.Region, Store: store, WaitCurrent: cache.WaitCurrent, Name: replica,
		Interval: cfg.ReconcileInterval, StoppedTaskRetention: cfg.StoppedTaskRetention, Log: log, Metrics: metrics,
		Periodic: ratelimit.New(ratelimit.Bucket{Burst: periodicBurst, Rate: cfg.ReconcileRate}, 1),
	})
	return reconciler, reconcile.NewMaintainer(reconcile.MaintainerConfig{
		Store: store, Compactor: store.NewCompactor(cfg.EtcdHistory, progress(cache), log),
		WaitCurrent: cache.WaitCurrent, Name: replica, Interval: cfg.ReconcileInterval,
		StoppedTaskRetention: cfg.StoppedTaskRetention, Log: log,
	})
}

// newWriter returns the writer of events, which verifies old ones with ECS.
func newWriter(
	cfg Config, store *store.Store, cache *cache.Cache, reconciler *reconcile.Reconciler, tasks *state.TaskDecoder,
	log logrus.FieldLogger, metrics prometheus.Registerer,
) *ingest.Writer {
	return ingest.NewWriter(ingest.WriterConfig{
		Recorder: store, DecodeTask: tasks.Keep, BatchSize: cfg.EtcdBatchSize, Log: log, Metrics: metrics,
		Verification: ingest.Verification{
			Describer: reconciler, StoredVersion: cache.StoredVersion, ReconciledAt: cache.ReconciledAt,
		},
	})
}

// newConsumer returns the consumer of the SQS queue or Kinesis stream that cfg names, and the record of whether that
// can be read.
func newConsumer(
	cfg Config, aws aws.Config, store *store.Store, writer *ingest.Writer, replica string, log logrus.FieldLogger,
	metrics prometheus.Registerer,
) (consumer interface{ Run(context.Context) error }, connectivity *ingest.Connectivity, err error) {
	source, err := ingest.ParseSource(cfg.Queue)
	if err != nil {
		return nil, nil, err
	}
	connectivity = ingest.NewConnectivity(metrics)
	aws.Region = cmp.Or(source.Region, aws.Region)
	if source.Service == ingest.ServiceKinesis {
		return kinesis.NewConsumer(kinesis.Config{
			Client: awsconfig.Kinesis(aws), Source: source, Member: replica, Store: store, Writer: writer, Log: log,
			Connectivity: connectivity,
		}), connectivity, nil
	}
	return ingest.NewConsumer(ingest.ConsumerConfig{
		Queue: ingest.NewSQS(awsconfig.SQS(aws), source), Writer: writer, Pollers: cfg.Pollers, Connectivity: connectivity,
		Log: log,
	}), connectivity, nil
}

// taskCodec decodes, orders and encodes the records of tasks for the cache.
func taskCodec(tasks *state.TaskDecoder) cache.Codec[state.Task] {
	return cache.Codec[state.Task]{
		Decode: tasks.Take, Version: func(t state.Task) int64 { return t.Version }, Compact: state.Task.Compact,
		Encode: api.EncodeTask, EncodeDeleted: api.EncodeDeleted,
	}
}

// instanceCodec does the same for container instances.
var instanceCodec = cache.Codec[state.Instance]{
	Decode: state.DecodeInstance, Version: func(i state.Instance) int64 { return i.Version },
	Encode: api.EncodeInstance, EncodeDeleted: api.EncodeDeleted,
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
