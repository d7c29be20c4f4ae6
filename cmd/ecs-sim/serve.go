package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/blox/blox/internal/ecssim"
)

// drainTimeout is the time that in-flight calls have to finish. Long polls end at once.
const drainTimeout = 500 * time.Millisecond

// serve serves on the listener until ctx ends.
func serve(ctx context.Context, listener net.Listener, cfg config, out io.Writer) error {
	sims := make([]*ecssim.Sim, 0, len(cfg.places()))
	closeAll := func() {
		for _, sim := range sims {
			sim.Close()
		}
	}
	defer closeAll()
	for _, place := range cfg.places() {
		sim := ecssim.New(place)
		sims = append(sims, sim)
		if err := populate(sim, cfg); err != nil {
			return err
		}
	}
	server := &http.Server{
		Handler:           ecssim.NewCloud(sims[0], sims[1:]...),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
	}
	stopped := make(chan error, 1)
	//nolint:contextcheck // the shutdown outlives ctx
	defer context.AfterFunc(ctx, func() { stopped <- shutdown(server, closeAll) })()
	fmt.Fprintln(out, cfg.exportCommand(listener.Addr().String()))
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return <-stopped
}

// populate creates the clusters, instances and task definitions that exist at the start.
func populate(sim *ecssim.Sim, cfg config) error {
	for _, name := range cfg.clusters {
		sim.CreateCluster(name)
		sim.AddInstances(name, cfg.instances)
	}
	for _, family := range cfg.families {
		if sim.RegisterTaskDefinition(family) == "" {
			return fmt.Errorf("--task-definition %q: must be 1 to 255 letters, digits, hyphens and underscores", family)
		}
	}
	return nil
}

// shutdown ends the long polls with closeSims and waits for the other calls.
func shutdown(server *http.Server, closeSims func()) error {
	closeSims()
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}
