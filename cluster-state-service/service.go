// Package clusterstate is the cluster-state-service: a near-real-time copy of ECS's container instances and tasks.
package clusterstate

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/api"
	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/cluster-state-service/reconcile"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/version"
)

// Run serves until ctx ends, and then returns nil once every part has stopped. An error means that it could not begin, or
// lost its listener; etcd, the queue and ECS may come and go.
func Run(ctx context.Context, cfg Config, log logrus.FieldLogger) error {
	aws, err := awsconfig.Load(ctx, cfg.Getenv)
	if err != nil {
		return err
	}
	ecs, err := awsconfig.ECS(aws, cfg.Getenv)
	if err != nil {
		return err
	}
	service, queueName, err := ingest.ParseQueue(cfg.Queue)
	if err != nil {
		return err
	}
	tlsOption, err := httpserver.WithTLSFiles(cfg.TLS, log)
	if err != nil {
		return err
	}
	client, err := etcd.New(cfg.Etcd, log)
	if err != nil {
		return err
	}
	defer client.Close()
	watchClient, err := etcd.New(cfg.Etcd, log)
	if err != nil {
		return err
	}
	defer watchClient.Close()
	listener := cfg.Listener
	if listener == nil {
		if listener, err = net.Listen("tcp", cfg.Bind); err != nil {
			return fmt.Errorf("--bind: %w", err)
		}
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	prefixed := prometheus.WrapRegistererWithPrefix("blox_css_", registry) // for the metrics of shared packages
	cache := cache.New(cache.Config{WatchClient: watchClient, Client: client, Tasks: taskCodec, Instances: instanceCodec, Log: log, Metrics: registry})
	store := store.New(client, cache.StoredVersion, registry)
	name := replicaName()
	reconciler := reconcile.New(reconcile.Config{
		ECS: ecs, Store: store, WaitCurrent: cache.WaitCurrent, Region: aws.Region, Name: name,
		Interval: cfg.ReconcileInterval, EtcdHistory: cfg.EtcdHistory, Log: log, Metrics: registry,
	})

	log.WithFields(logrus.Fields{
		"version": version.String(), "address": listener.Addr().String(), "region": aws.Region, "queue": cfg.Queue,
		"etcd": cfg.Etcd.Endpoints, "tls": cfg.TLS.Cert != "",
	}).Info("cluster-state-service is up")
	group, ctx := errgroup.WithContext(ctx)
	readsCtx, stopReads := context.WithCancel(context.WithoutCancel(ctx)) // requests under way when ctx ends still need the view
	defer stopReads()
	group.Go(func() error { return cache.Run(readsCtx) })
	options := ingest.Options{Pollers: cfg.Pollers, BatchSize: cfg.EtcdBatchSize, Metrics: registry}
	group.Go(func() error {
		if service == ingest.ServiceKinesis {
			return ingest.ConsumeStream(ctx, stream(awsconfig.Kinesis(aws), queueName, name, store), store, log, options)
		}
		return ingest.ConsumeQueue(ctx, ingest.NewSQS(awsconfig.SQS(aws), queueName), store, log, options)
	})
	group.Go(func() error { return reconciler.Run(ctx) })
	group.Go(func() error {
		defer stopReads()
		handler := api.New(api.Config{
			Cache: cache, Region: aws.Region, OutOfSpace: store.OutOfSpace, Metrics: httpserver.MetricsHandler(registry), Log: log,
		})
		return httpserver.Serve(ctx, listener, handler, log, httpserver.WithPanicText(api.Unexpected), httpserver.WithMetrics(prefixed), tlsOption)
	})
	return group.Wait()
}

// What the view is told about the two kinds.
var (
	taskCodec = cache.Codec[state.Task]{
		Decode: state.DecodeTask, Version: func(t state.Task) int64 { return t.Version },
		Encode: api.EncodeTask, EncodeDeleted: api.EncodeDeleted,
	}
	instanceCodec = cache.Codec[state.Instance]{
		Decode: state.DecodeInstance, Version: func(i state.Instance) int64 { return i.Version },
		Encode: api.EncodeInstance, EncodeDeleted: api.EncodeDeleted,
	}
)

// stream is a Kinesis stream whose shards the replicas share by way of etcd.
func stream(client *kinesis.Client, name, replica string, records *store.Store) ingest.Stream {
	return ingest.Stream{
		Client: client, Name: name, Member: replica,
		Join: func(ctx context.Context, work func(context.Context, ingest.Membership) error) error {
			return records.JoinGroup(ctx, name, replica, func(ctx context.Context, r *store.GroupMember) error { return work(ctx, r) })
		},
	}
}

// replicaName names this process among those that share etcd.
func replicaName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + uuid.NewString()[:8]
}
