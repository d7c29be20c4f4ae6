package robustness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/blox/blox/cluster-state-service/informer"
)

// Run parses the arguments, runs the scenario of the seed and reports each violated promise.
func Run(ctx context.Context, args []string, out io.Writer) error {
	cfg, err := parseConfig(args, out)
	if err != nil {
		return err
	}
	steps := schedule(cfg.seed, cfg.duration, cfg.faults)
	if cfg.plan {
		return writeSteps(out, steps)
	}
	dir, err := directory(cfg)
	if err != nil {
		return err
	}
	failed, err := torture(ctx, cfg, dir, steps, out)
	if err == nil && failed == 0 && cfg.keep == "" {
		return os.RemoveAll(dir)
	}
	fmt.Fprintf(out, "logs, schedule and history: %s\nagain: %s\n", dir, cfg.replay())
	if err == nil && failed > 0 {
		err = fmt.Errorf("seed %d: %d violations", cfg.seed, failed)
	}
	return err
}

func directory(cfg config) (string, error) {
	if cfg.keep == "" {
		return os.MkdirTemp("", "blox-robustness-")
	}
	dir, err := filepath.Abs(cfg.keep)
	if err != nil {
		return "", err
	}
	if held, err := os.ReadDir(dir); err == nil && len(held) > 0 {
		return "", fmt.Errorf("--keep %s: not empty, and an earlier run's etcd must not be taken over", cfg.keep)
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// writeSteps writes a JSON object a line.
func writeSteps(to io.Writer, steps []step) error {
	encoder := json.NewEncoder(to)
	for _, s := range steps {
		if err := encoder.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

// torture does the steps to a world in dir, and returns how many violations there were. An error says that it could not.
func torture(ctx context.Context, cfg config, dir string, steps []step, out io.Writer) (failed int, err error) {
	r, err := newReport(dir, out)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	plan, err := os.Create(filepath.Join(dir, "schedule.jsonl"))
	if err != nil {
		return 0, err
	}
	if err := errors.Join(writeSteps(plan, steps), plan.Close()); err != nil {
		return 0, err
	}
	w, err := newWorld(cfg, dir, r)
	if err != nil {
		return 0, err
	}
	defer w.close()
	r.say("seed %d, %s of faults (%d steps); starting", cfg.seed, cfg.duration, len(steps))
	if err := w.start(ctx); err != nil {
		return 0, err
	}
	if err := w.suffer(ctx, cfg, dir, steps); err != nil {
		return 0, err
	}
	w.stopServices()
	w.logs()
	for _, fact := range slices.Sorted(maps.Keys(r.facts)) {
		r.say("  %-55s %8d", fact, r.facts[fact])
	}
	r.say("%d violations", r.failed())
	return r.failed(), nil
}

// suffer has everything run while the steps are done, and then checks what has to hold.
func (w *world) suffer(ctx context.Context, cfg config, dir string, steps []step) error {
	store, users, fleet := newStoreWatch(w), newUsers(w), &fleet{world: w}
	registers, probes := newRegisters(w), newProbes(w)
	check := &checker{world: w, store: store, users: users}
	var streams []*streamClient
	for n := range w.css {
		streams = append(streams, &streamClient{world: w, kind: "tasks", first: n}, &streamClient{world: w, kind: "tasks", first: n, loyal: true},
			&streamClient{world: w, kind: "instances", first: n})
	}
	for n := range w.css {
		m, err := informer.New(informer.Config{Endpoints: []string{w.css[n], w.css[(n+1)%len(w.css)]}, Heartbeat: time.Second})
		if err != nil {
			return err
		}
		check.mirrors = append(check.mirrors, m)
	}
	if err := errors.Join(fleet.begin(ctx), registers.begin(ctx)); err != nil {
		return err
	}

	var watching, working, counting sync.WaitGroup
	watch, stopWatching := context.WithCancel(ctx)
	work, stopWorking := context.WithCancel(ctx)
	count, stopCounting := context.WithCancel(ctx)
	defer watching.Wait()
	defer stopWatching()
	defer working.Wait()
	defer stopWorking()
	defer counting.Wait()
	defer stopCounting()
	watching.Go(func() { store.run(watch) })
	watching.Go(func() { store.acknowledgements(watch) })
	for _, s := range streams {
		watching.Go(func() { s.run(watch) })
	}
	for _, m := range check.mirrors {
		watching.Go(func() { _ = m.Run(watch) })
	}
	counting.Go(func() { check.counters(count) })
	for n := range slots {
		working.Go(func() { users.run(work, n) })
	}
	for n := range 4 {
		working.Go(func() { registers.client(work, n, cfg.seed) })
		working.Go(func() { probes.reader(work, n, cfg.seed) })
	}
	bad := &nuisances{w, registers}
	working.Go(func() { bad.sender(work, cfg.seed) })
	for n := range 12 {
		for _, service := range []string{"css-0", "css-1"} {
			working.Go(func() { bad.stalled(work, service, n) })
		}
	}
	for n := range probesAtATime {
		working.Go(func() { probes.writer(work, n, cfg.seed) })
	}

	d := &doer{world: w, fleet: fleet, users: users, store: store}
	d.carryOut(ctx, steps)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.report.say("the last fault is over")
	if err := d.wellAgain(ctx); err != nil {
		return err
	}
	if slices.Contains(cfg.faults, "nospace") {
		if err := d.makeRoom(ctx); err != nil {
			return err
		}
	}
	stopWorking()
	working.Wait()
	if err := fleet.settle(ctx); err != nil {
		return err
	}
	users.settle(ctx)
	registers.finish(ctx)
	if err := check.converges(ctx, cfg.bound); err != nil {
		return err
	}
	if slices.Contains(cfg.faults, "stall") {
		if err := check.stall(ctx, bad, streams); err != nil {
			w.report.say("clients that stall: %s", err)
		}
	}
	stopCounting()
	counting.Wait()
	if slices.Contains(cfg.faults, "late") {
		if err := check.late(ctx); err != nil {
			w.report.say("the open case could not be provoked: %s", err)
		}
	}
	if err := store.caughtUp(ctx); err != nil {
		return err
	}
	stopWatching()
	watching.Wait()
	for _, s := range streams {
		s.check(store.changes, store.began)
	}
	registers.linearizable(w.report, dir, "environments are linearizable", registerModel)
	probes.linearizable(w.report, dir, "reads of cluster-state-service are linearizable", probeModel)
	return ctx.Err()
}

// converges waits until nothing is wrong; what is after the bound is a violation.
func (c *checker) converges(ctx context.Context, bound time.Duration) error {
	for began := time.Now(); ; {
		f := c.all(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(f.all) == 0 {
			c.report.say("all is well %s after the last fault", time.Since(began).Round(100*time.Millisecond))
			return nil
		}
		if time.Since(began) > bound {
			for _, w := range f.all {
				c.report.violated(w.check, "%s after the last fault: %s", bound, w.what)
			}
			return nil
		}
		c.report.note("not yet", map[string]any{"what": f.all[0].what, "findings": len(f.all)})
		sleep(ctx, time.Second)
	}
}
