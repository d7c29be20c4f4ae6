// Package local runs both services, an etcd and a simulated ECS in one process. Command blox-local is its main.
package local

import (
	"context"
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
	startTimeout  = 30 * time.Second
	readyInterval = 20 * time.Millisecond
	family        = "agent"
)

// Run starts every component, prints what to type next, and serves until ctx ends.
func Run(ctx context.Context, args []string, out io.Writer) error {
	cfg, err := parseConfig(args, out)
	if err != nil {
		return err
	}
	log := logging.New("BLOX", logging.Options{Level: cfg.logLevel})
	defer log.Close()
	listeners, err := listen(cfg)
	if err != nil {
		return err
	}
	defer listeners.close()
	etcd, removeData, err := startEtcd(ctx, cfg)
	if err != nil {
		return err
	}
	defer removeData()
	defer etcd.Close()

	sim := ecssim.New(ecssim.Defaults())
	defer sim.Close()
	sim.RegisterTaskDefinition(family)
	sim.AddInstances("default", cfg.instances)

	css, ds, err := serviceConfigs(listeners, etcd.Address(), out)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return httpserver.Serve(ctx, listeners.ecs, sim, log.WithField("component", "simulator"))
	})
	group.Go(func() error { return clusterstate.Run(ctx, css, log.WithField("component", "cluster-state-service")) })
	group.Go(func() error { // once its source is ready, or it would log failed connections first
		if err := awaitReady(ctx, listeners.css.Addr()); err != nil {
			return err
		}
		return daemonscheduler.Run(ctx, ds, log.WithField("component", "daemon-scheduler"))
	})
	group.Go(func() error {
		if err := awaitReady(ctx, listeners.ds.Addr()); err != nil || ctx.Err() != nil {
			return err
		}
		fmt.Fprint(out, welcome(listeners, etcd.Address()))
		return nil
	})
	defer context.AfterFunc(ctx, sim.Close)() // ends long polls, which would delay the end
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Fprintln(out, "Blox stopped.")
	return nil
}

// serviceConfigs returns the configurations of both services.
func serviceConfigs(l listeners, etcd string, out io.Writer) (
	css clusterstate.Config, ds daemonscheduler.Config, err error,
) {
	getenv := simulatedAWS(l.ecs.Addr())
	css, err = clusterstate.ParseConfig([]string{
		"--etcd-endpoint", etcd, "--queue", "blox_queue", "--scheduler-url", "http://" + l.ds.Addr().String() + "/",
	}, getenv, out)
	if err != nil {
		return css, ds, err
	}
	ds, err = daemonscheduler.ParseConfig([]string{
		"--etcd-endpoint", etcd, "--css-endpoint", l.css.Addr().String(),
		"--explorer-url", "http://" + l.css.Addr().String() + "/",
	}, getenv, out)
	css.Listener, ds.Listener = l.css, l.ds
	return css, ds, err
}

// listeners are opened before anything starts, so that an address in use is reported at once.
type listeners struct{ css, ds, ecs net.Listener }

func listen(cfg config) (l listeners, err error) {
	for _, bind := range []struct {
		listener      *net.Listener
		flag, address string
	}{{&l.css, "css", cfg.css}, {&l.ds, "ds", cfg.ds}, {&l.ecs, "ecs", cfg.ecs}} {
		if *bind.listener, err = net.Listen("tcp", bind.address); err != nil {
			l.close()
			return l, fmt.Errorf("--%s-bind: %w", bind.flag, err)
		}
	}
	return l, nil
}

// close closes every listener. The servers have closed theirs already.
func (l listeners) close() {
	for _, listener := range []net.Listener{l.css, l.ds, l.ecs} {
		if listener != nil {
			_ = listener.Close()
		}
	}
}

// startEtcd uses the configured directory, or a temporary one, which remove removes.
func startEtcd(ctx context.Context, cfg config) (server *embedded.Embedded, remove func(), err error) {
	dir := cfg.data
	remove = func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "blox-local-"); err != nil {
			return nil, nil, fmt.Errorf("etcd directory: %w", err)
		}
		remove = func() { _ = os.RemoveAll(dir) }
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	server, err = embedded.Start(ctx, filepath.Join(dir, "etcd"), embedded.Options{Address: cfg.etcd})
	if err != nil {
		remove()
		return nil, nil, err
	}
	return server, remove, nil
}

// simulatedAWS returns an environment in which services reach the simulator and nothing else.
func simulatedAWS(ecs net.Addr) func(string) string {
	environment := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://" + ecs.String(),
		"AWS_ACCESS_KEY_ID": "simulated", "AWS_SECRET_ACCESS_KEY": "simulated",
	}
	return func(name string) string { return environment[name] }
}

// awaitReady returns nil when the service is ready, or when ctx has ended.
func awaitReady(ctx context.Context, service net.Addr) error {
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !ready(limited, service) {
		select {
		case <-time.After(readyInterval):
		case <-limited.Done():
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("service %s: not ready after %s", service, startTimeout)
		}
	}
	return nil
}

func ready(ctx context.Context, address net.Addr) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address.String()+"/v1/ready", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
