package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	quietDuration  = 5 * time.Second // of the probe client alone
	releaseTimeout = 2 * time.Minute
	// releaseMargin is how many more goroutines or descriptors than before a service may use after the bad clients.
	releaseMargin = 20
)

// overload exposes each service to each kind of bad client in turn, while a probe client checks its responses.
// Afterwards the service must have released everything that the bad clients held.
func overload(ctx context.Context, cfg config, t *table) error {
	s, err := newSystem(ctx, cfg, "--instances", "3", "--task-definition", "agent")
	if err != nil {
		return err
	}
	defer s.close()
	ds, err := s.startScheduler(ctx)
	if err != nil {
		return err
	}
	d, err := ds.deploy(ctx, "good", "default")
	if err != nil {
		return err
	}
	if err := ds.awaitCompleted(ctx, d); err != nil {
		return err
	}
	css := probedService{ds.clusterState, "overload-css", "/v1/clusters", `cluster/default`}
	if err := css.overload(ctx, cfg, t); err != nil {
		return err
	}
	scheduler := probedService{ds.service, "overload-ds", "/v1/environments/good", `"health":"healthy"`}
	return scheduler.overload(ctx, cfg, t)
}

// probedService is a service with the probe client's request and a text of the expected response.
type probedService struct {
	*service
	section, path, text string
}

func (s probedService) overload(ctx context.Context, cfg config, t *table) error {
	probe := s.startProbeClient(ctx, s.path, s.text)
	defer probe.stop()
	backoff.Sleep(ctx, quietDuration)
	if err := t.addProbeClient(s.section, "without bad clients", probe); err != nil {
		return err
	}
	before, err := s.usage(ctx)
	if err != nil {
		return err
	}
	for _, kind := range badClients() {
		if err := s.expose(ctx, kind, max(kind.minDuration, cfg.load/40), before, t); err != nil {
			return err
		}
	}
	after, err := s.awaitRelease(ctx, before)
	if err != nil {
		return err
	}
	t.addUsage(s.section, "after all bad clients, compared with before", before, after)
	return nil
}

// expose runs bad clients of one kind.
func (s probedService) expose(
	ctx context.Context, kind badClient, duration time.Duration, before usage, t *table,
) error {
	probe := s.startProbeClient(ctx, s.path, s.text)
	defer probe.stop()
	running, end := context.WithTimeout(ctx, duration)
	defer end()
	var count atomic.Int64
	var clients sync.WaitGroup
	for range kind.connections {
		clients.Go(func() { kind.run(running, strings.TrimPrefix(s.url, "http://"), &count) })
	}
	highest := usage{}
	for running.Err() == nil {
		if u, err := s.usage(ctx); err == nil {
			highest = highest.highest(u)
		}
		backoff.Sleep(running, time.Second)
	}
	clients.Wait()
	if err := t.addProbeClient(s.section, kind.name, probe); err != nil {
		return err
	}
	t.add(s.section, kind.name+": "+kind.outcome, "", single(float64(count.Load())))
	t.add(s.section, kind.name+": highest resident memory, compared with before", "MiB",
		[]sample{{highest.memory / mib, before.memory / mib}})
	t.add(s.section, kind.name+": most descriptors, compared with before", "",
		[]sample{{highest.descriptors, before.descriptors}})
	return nil
}

// awaitRelease waits until the service uses about as many goroutines and descriptors as before.
func (s probedService) awaitRelease(ctx context.Context, before usage) (after usage, err error) {
	err = poll(ctx, releaseTimeout, 100*time.Millisecond, "the release of resources", func() (bool, error) {
		var err error
		after, err = s.usage(ctx)
		return after.goroutines < before.goroutines+releaseMargin &&
			after.descriptors < before.descriptors+releaseMargin, err
	})
	if err != nil {
		return after, fmt.Errorf("%s: %w: %.0f goroutines and %.0f descriptors, before %.0f and %.0f",
			s.section, err, after.goroutines, after.descriptors, before.goroutines, before.descriptors)
	}
	return after, nil
}
