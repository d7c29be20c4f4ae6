package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	clusterstate "github.com/blox/blox/cluster-state-service"
	daemonscheduler "github.com/blox/blox/daemon-scheduler"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/logging"
)

const (
	startWithin = 30 * time.Second
	family      = "agent"
)

// run brings everything up, says what to type next, and serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	cfg, err := parseConfig(args, out)
	if err != nil {
		return err
	}
	log, err := logging.New("BLOX", "", cfg.logLevel)
	if err != nil {
		return err
	}
	defer log.Close()
	listeners, err := listen(cfg)
	if err != nil {
		return err
	}
	store, removeData, err := startEtcd(ctx, cfg)
	if err != nil {
		listeners.close()
		return err
	}
	defer removeData()
	defer store.Close()

	sim := ecssim.New(ecssim.Defaults())
	defer sim.Close()
	sim.RegisterTaskDefinition(family)
	sim.AddInstances("default", cfg.instances)

	getenv := simulated(listeners.ecs.Addr())
	css, err := clusterstate.ParseConfig([]string{"--etcd-endpoint", store.Address(), "--queue", "blox_queue"}, getenv, out)
	if err != nil {
		listeners.close()
		return err
	}
	ds, err := daemonscheduler.ParseConfig([]string{"--etcd-endpoint", store.Address(), "--css-endpoint", listeners.css.Addr().String()}, getenv, out)
	if err != nil {
		listeners.close()
		return err
	}
	css.Listener, ds.Listener = listeners.css, listeners.ds

	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return httpserver.Serve(ctx, listeners.ecs, sim, log.WithField("part", "simulator")) })
	parts.Go(func() error { return clusterstate.Run(ctx, css, log.WithField("part", "cluster-state-service")) })
	parts.Go(func() error { // after its source is ready, or its first lines would be complaints
		if err := awaitReady(ctx, listeners.css.Addr()); err != nil {
			return errors.Join(err, listeners.ds.Close())
		}
		return daemonscheduler.Run(ctx, ds, log.WithField("part", "daemon-scheduler"))
	})
	parts.Go(func() error {
		if err := awaitReady(ctx, listeners.ds.Addr()); err != nil || ctx.Err() != nil {
			return err
		}
		fmt.Fprint(out, welcome(listeners, store.Address()))
		return nil
	})
	// A long poll or a stream must not hold up the end.
	defer context.AfterFunc(ctx, sim.Close)()
	if err := parts.Wait(); err != nil {
		return err
	}
	fmt.Fprintln(out, "Blox has stopped.")
	return nil
}

// addresses are taken before anything starts, so that a taken port is told at once.
type addresses struct{ css, ds, ecs net.Listener }

func listen(cfg config) (a addresses, err error) {
	for _, l := range []struct {
		to            *net.Listener
		flag, address string
	}{{&a.css, "css", cfg.css}, {&a.ds, "ds", cfg.ds}, {&a.ecs, "ecs", cfg.ecs}} {
		if *l.to, err = net.Listen("tcp", l.address); err != nil {
			a.close()
			return a, fmt.Errorf("--%s-bind: %w", l.flag, err)
		}
	}
	return a, nil
}

func (a addresses) close() {
	for _, l := range []net.Listener{a.css, a.ds, a.ecs} {
		if l != nil {
			_ = l.Close() // nothing was served yet
		}
	}
}

// startEtcd keeps its data in the folder that was asked for, or in one that remove takes away.
func startEtcd(ctx context.Context, cfg config) (server *embedded.Embedded, remove func(), err error) {
	dir, remove := cfg.data, func() {}
	if dir == "" {
		temporary, err := os.MkdirTemp("", "blox-local-")
		if err != nil {
			return nil, nil, fmt.Errorf("a folder for etcd: %w", err)
		}
		dir, remove = temporary, func() { _ = os.RemoveAll(temporary) }
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	server, err = embedded.Start(ctx, filepath.Join(dir, "etcd"), embedded.Options{Address: cfg.etcd})
	if err != nil {
		remove()
		return nil, nil, err
	}
	return server, remove, nil
}

// simulated is the environment of services that are to meet the simulator and nothing else.
func simulated(ecs net.Addr) func(string) string {
	environment := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://" + ecs.String(),
		"AWS_ACCESS_KEY_ID": "simulated", "AWS_SECRET_ACCESS_KEY": "simulated",
	}
	return func(name string) string { return environment[name] }
}

// awaitReady returns nil once the service is ready, or ctx has ended.
func awaitReady(ctx context.Context, service net.Addr) error {
	limited, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for !ready(limited, service) {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-limited.Done():
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("the service on %s is not ready after %s", service, startWithin)
		}
	}
	return nil
}

func ready(ctx context.Context, address net.Addr) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address.String()+"/v1/ready", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
