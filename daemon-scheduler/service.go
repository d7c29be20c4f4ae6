// Package daemonscheduler is the daemon-scheduler: it keeps one task of each environment on every container instance of
// the environment's cluster.
package daemonscheduler

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/api"
	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/engine"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/eventsink"
	"github.com/blox/blox/daemon-scheduler/status"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/daemon-scheduler/ui"
	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/ratelimit"
	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/tlsconfig"
	"github.com/blox/blox/internal/version"
)

// Run serves until ctx ends, then stops every component and returns nil. It returns an error if it cannot start or
// loses its listener. It tolerates failures of etcd, the cluster-state-service and ECS. All replicas serve the API; one
// elected leader schedules.
func Run(ctx context.Context, cfg Config, log logrus.FieldLogger) error {
	registry, prefixed := newRegistry(cfg)
	ecs, aws, err := newECS(ctx, cfg, prefixed)
	if err != nil {
		return err
	}
	cluster, err := newCluster(cfg, registry, log)
	if err != nil {
		return err
	}
	monitor := etcd.NewMonitor(log, prefixed)
	client, err := etcd.New(cfg.Etcd, log, monitor)
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := access.Listen(access.Config{
		Options: cfg.Access, Bind: cfg.Bind, Listener: cfg.Listener, ReadOnly: cfg.ReadOnly, TLS: cfg.TLS,
		Policy: api.Policy, Log: log, Metrics: prefixed,
	})
	if err != nil {
		return err
	}
	replica := replicaName(server.Addr())
	store := store.New(client, log).WithMonitor(monitor).WithResponses(cfg.IdempotencyRetention, store.MaxResponses)
	cache := cache.New(store, log)
	eventStore := events.NewStore(store, log)
	recorder := events.NewRecorder(eventStore, log)
	engine := newEngine(cfg, engine.Config{
		Store: store, Cache: cache, Cluster: cluster, ECS: ecs, RecordEvent: recorder.Record, Log: log, Metrics: registry,
	})
	sinks := newSinks(cfg, aws, store, eventStore, log, registry)
	defer cluster.Follow(engine)()
	status, unsubscribe := status.New(status.Config{
		Cache: cache, Cluster: cluster, Events: eventStore, Etcd: store, Encoder: api.Encoder{}, Replica: replica,
		StartConfirmTimeout: cfg.StartConfirmTimeout, Metrics: registry,
	})
	defer unsubscribe()
	handler := api.New(api.Config{
		Store: store, Cache: cache, Status: status, Events: eventStore, RecordEvent: recorder.Record,
		Resolver: func(role environment.Role, cluster string) api.Resolver { return ecs.For(role, cluster) },
		Metrics:  httpserver.MetricsHandler(registry), UI: newUI(cfg), Log: log,
	})
	log.WithFields(server.LogFields()).WithFields(logrus.Fields{
		"version": version.String(), "region": aws.Region, "replica": replica,
		"css": redact.URLs(cfg.CSSEndpoints), "etcd": cfg.Etcd.Endpoints, "tls": cfg.TLS.Cert != "",
	}).Info("daemon-scheduler started")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return monitor.Run(ctx, client) })
	group.Go(func() error { return cluster.Run(ctx) })
	group.Go(func() error { return cache.Run(ctx) })
	group.Go(func() error { return eventStore.Run(ctx) })
	group.Go(func() error { return recorder.Run(ctx) })
	group.Go(func() error { return status.Run(ctx) })
	group.Go(func() error { return lead(ctx, cfg, store, replica, actAndSend(engine, sinks)) })
	group.Go(func() error {
		return server.Serve(ctx, handler, httpserver.WithPanicText("Server Error"), httpserver.WithMetrics(prefixed))
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
	version.Register(registry, "daemon-scheduler")
	prefixed := prometheus.WrapRegistererWithPrefix("blox_ds_", registry)
	tlsconfig.RegisterExpiry(prefixed, map[string]tlsconfig.Files{
		"server": cfg.TLS, "css_client": cfg.CSSTLS, "etcd_client": cfg.Etcd.TLS,
	})
	return registry, prefixed
}

// newSinks returns the receivers of events outside Blox.
func newSinks(
	cfg Config, aws aws.Config, records *store.Store, recorded *events.Store, log logrus.FieldLogger,
	metrics prometheus.Registerer,
) *eventsink.Sinks {
	return eventsink.New(eventsink.Config{
		Options: cfg.EventSinks, AWS: aws, Events: recorded, Store: records, Encode: api.EncodeEvent, Log: log,
		Metrics: metrics,
	})
}

// actAndSend returns what a leader does: it runs the engine, and sends events beside it.
func actAndSend(engine *engine.Engine, sinks *eventsink.Sinks) func(context.Context, store.Term) error {
	return func(ctx context.Context, term store.Term) error {
		ctx, cancel := context.WithCancel(ctx)
		var sending sync.WaitGroup
		sending.Go(func() { sinks.Run(ctx, term) })
		defer sending.Wait()
		defer cancel()
		return engine.Run(ctx, term)
	}
}

// lead runs act whenever this replica leads. Without leader election, it takes the leadership at once.
func lead(
	ctx context.Context, cfg Config, records *store.Store, replica string, act func(context.Context, store.Term) error,
) error {
	if !cfg.LeaderElect {
		return records.ForceLeadership(ctx, replica, cfg.Lease, act)
	}
	return records.Lead(ctx, replica, cfg.Lease, act)
}

// newECS returns the clients of ECS and of CloudWatch's alarms, and the configuration of AWS clients.
func newECS(ctx context.Context, cfg Config, registerer prometheus.Registerer) (*ecsapi.Clients, aws.Config, error) {
	aws, err := awsconfig.Load(ctx, cfg.Getenv)
	if err != nil {
		return nil, aws, err
	}
	if err := cfg.EventSinks.CheckRegion(aws.Region); err != nil {
		return nil, aws, err
	}
	aws = awsconfig.WithMetrics(aws, registerer)
	client, err := awsconfig.ECS(aws, cfg.Getenv)
	if err != nil {
		return nil, aws, err
	}
	clients := ecsapi.NewClients(ecsapi.Config{
		ECS: client, CloudWatch: awsconfig.CloudWatch(aws), STS: awsconfig.STS(aws), AllowedRoles: cfg.AllowedRoles,
		NewLimits: func() ratelimit.Limits { return ratelimit.Limits{ECS: newLimits(cfg), Alarms: newAlarmLimits(cfg)} },
	})
	registerer.MustRegister(clients)
	return clients, aws, nil
}

// newLimits returns limits that leave half of the reads to others, cluster-state-service among them. A deployment may
// spend all modifications.
func newLimits(cfg Config) ratelimit.ECS {
	limiter := func(burst, rate float64) *ratelimit.Limiter {
		return ratelimit.New(ratelimit.Bucket{Burst: burst, Rate: rate}, 1)
	}
	modifications := ratelimit.Bucket{Burst: ratelimit.Modifications.Burst, Rate: cfg.ChangeRate}
	return ratelimit.ECS{
		ClusterReads:        limiter(ratelimit.ClusterReads.Burst/2, cfg.LookupRate),
		TaskDefinitionReads: limiter(ratelimit.TaskDefinitionReads.Burst/2, cfg.LookupRate),
		ResourceReads:       limiter(ratelimit.ResourceReads.Burst/2, cfg.ReadRate),
		Modifications:       ratelimit.New(modifications.WithoutJitter(), 1),
	}
}

func newAlarmLimits(cfg Config) ratelimit.CloudWatch {
	bucket := ratelimit.Bucket{Burst: max(1, cfg.AlarmRate), Rate: cfg.AlarmRate}
	return ratelimit.CloudWatch{DescribeAlarms: ratelimit.New(bucket, 1)}
}

// newCluster returns the copy of the clusters, read from the cluster-state-service.
func newCluster(
	cfg Config, metrics prometheus.Registerer, log logrus.FieldLogger,
) (clusterstate.Cluster, error) {
	tls, err := tlsconfig.Load(cfg.CSSTLS, log)
	if err != nil {
		return clusterstate.Cluster{}, fmt.Errorf("--css-ca, --css-cert, --css-key: %w", err)
	}
	inf, err := informer.New(informer.Config{
		Endpoints: cfg.CSSEndpoints, HTTPClient: &http.Client{Transport: tls.Transport()}, TokenFile: cfg.CSSTokenFile,
		Log: log,
	})
	if err != nil {
		return clusterstate.Cluster{}, fmt.Errorf("--css-endpoint, --css-token-file: %w", err)
	}
	cluster := clusterstate.New(inf)
	cluster.Register(metrics)
	return cluster, nil
}

// newEngine returns an engine that reconciles an environment when the cache has changed.
func newEngine(cfg Config, dependencies engine.Config) *engine.Engine {
	dependencies.StartConfirmTimeout = cfg.StartConfirmTimeout
	dependencies.DeploymentHistory = cfg.DeploymentHistory
	dependencies.Workers = cfg.Workers
	dependencies.AttributeInterval = cfg.AttributeInterval
	dependencies.AlarmInterval = cfg.AlarmInterval
	dependencies.HealthInterval = cfg.HealthInterval
	dependencies.RolloutHealthInterval = cfg.RolloutHealthInterval
	e := engine.New(dependencies)
	dependencies.Cache.Subscribe(cache.Listener{
		EnvironmentChanged: e.EnvironmentChanged, AttributesChanged: e.ReadinessChanged,
	})
	return e
}

// newUI returns the page. It has no actions with --read-only-ui, nor at the address of --read-only-bind.
func newUI(cfg Config) http.Handler {
	page := ui.Handler(ui.Config{ReadOnly: cfg.ReadOnlyUI, ExplorerURL: cfg.ExplorerURL})
	withoutActions := ui.Handler(ui.Config{ReadOnly: true, ExplorerURL: cfg.ExplorerURL})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if access.IsReadOnly(r) {
			withoutActions.ServeHTTP(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
}

// replicaName returns a name that is unique among the replicas.
func replicaName(address net.Addr) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	_, port, _ := net.SplitHostPort(address.String())
	return host + ":" + port + "-" + uuid.NewString()[:8]
}
