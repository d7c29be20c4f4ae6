// Package daemonscheduler is the daemon-scheduler: it keeps one task of each environment on every container instance of
// the environment's cluster.
package daemonscheduler

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/api"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/engine"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/daemon-scheduler/ui"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/tlsconfig"
	"github.com/blox/blox/internal/version"
)

// Run serves until ctx ends, and then returns nil once every part has stopped. An error means that it could not begin, or
// lost its listener; etcd, the cluster-state-service and ECS may come and go. Every replica serves the API, one acts.
func Run(ctx context.Context, cfg Config, log logrus.FieldLogger) error {
	aws, err := awsconfig.Load(ctx, cfg.Getenv)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	prefixed := prometheus.WrapRegistererWithPrefix("blox_ds_", registry) // for the metrics of shared packages
	ecs, err := awsconfig.ECS(awsconfig.WithMetrics(aws, prefixed), cfg.Getenv)
	if err != nil {
		return err
	}
	serving, err := httpserver.WithTLSFiles(cfg.TLS, log)
	if err != nil {
		return err
	}
	following, err := tlsconfig.Load(cfg.CSSTLS, log)
	if err != nil {
		return fmt.Errorf("--css-ca, --css-cert, --css-key: %w", err)
	}
	copied, err := informer.New(informer.Config{
		Endpoints: cfg.CSSEndpoints, HTTPClient: &http.Client{Transport: following.Transport()}, Log: log,
	})
	if err != nil {
		return fmt.Errorf("--css-endpoint: %w", err)
	}
	client, err := etcd.New(cfg.Etcd, log)
	if err != nil {
		return err
	}
	defer client.Close()
	listener := cfg.Listener
	if listener == nil {
		if listener, err = net.Listen("tcp", cfg.Bind); err != nil {
			return fmt.Errorf("--bind: %w", err)
		}
	}

	ecsClient := ecsapi.New(ecs, ecsapi.NewLimits(cfg.ChangeRate, cfg.ReadRate, cfg.LookupRate))
	records, clusters := store.New(client, log), clusterstate.Cluster{Informer: copied}
	clusters.Register(registry)
	notes := events.New(records, log)
	acting := engine.New(engine.Config{
		Store: records, Cluster: clusters, ECS: ecsClient, Log: log, Metrics: registry, RecordEvent: notes.Note,
		StartConfirmTimeout: cfg.StartConfirmTimeout, DeploymentHistory: cfg.DeploymentHistory, Workers: cfg.Workers,
	})
	defer clusters.Follow(acting)()
	name, seen := replica(listener.Addr()), outlook{records, clusters, cfg.StartConfirmTimeout}
	followed, stop := newBoards(seen, name)
	defer stop()
	handler := api.New(api.Config{
		Store: records, Log: log, Metrics: httpserver.MetricsHandler(registry),
		Resolver: ecsClient,
		Outlook:  seen, Boards: followed, Replica: name, Journal: notes.Note, Page: ui.Handler(),
		NotReady: func() []string { return notReady(clusters) },
	})
	lead := records.Lead
	if !cfg.LeaderElect {
		lead = records.Seize
	}

	log.WithFields(logrus.Fields{
		"version": version.String(), "address": listener.Addr().String(), "region": aws.Region, "replica": name,
		"css": redact.URLs(cfg.CSSEndpoints), "etcd": cfg.Etcd.Endpoints, "tls": cfg.TLS.Cert != "",
	}).Info("daemon-scheduler is up")
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return copied.Run(ctx) })
	parts.Go(func() error { return records.Run(ctx, acting.EnvironmentChanged, acting.ReadinessChanged) })
	parts.Go(func() error { return notes.Run(ctx) })
	parts.Go(func() error { return lead(ctx, name, cfg.Lease, acting.Run) })
	parts.Go(func() error {
		return httpserver.Serve(ctx, listener, handler, log, httpserver.WithPanicText("Server Error"), httpserver.WithMetrics(prefixed), serving)
	})
	return parts.Wait()
}

// checkCSS tells what mirror would refuse about endpoints.
func checkCSS(endpoints []string) error {
	if len(endpoints) == 0 {
		return nil // said in other words
	}
	_, err := informer.New(informer.Config{Endpoints: endpoints})
	return err
}

// notReady says why the copy of the clusters cannot be relied on.
func notReady(c clusterstate.Cluster) []string {
	switch now := time.Now(); {
	case !c.Synced():
		return []string{"the cluster-state-service has not been read yet"}
	case !c.Fresh(now):
		return []string{"the cluster-state-service has not been heard of for " + c.Age(now).Round(time.Second).String()}
	}
	return nil
}

// replica names this process among those that may lead.
func replica(address net.Addr) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	_, port, _ := net.SplitHostPort(address.String())
	return host + ":" + port + "-" + uuid.NewString()[:8]
}
