// Package robustness runs all of Blox as processes, injects the faults of a scenario, and checks Blox's promises.
// Start with run.go; README.md in cmd/blox-robustness describes faults and checks.
package robustness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	actions := cfg.scenario(0)
	if cfg.plan {
		return writeScenario(out, actions)
	}
	dir, err := runDirectory(cfg)
	if err != nil {
		return err
	}
	violations, err := runInDirectory(ctx, cfg, dir, actions, out)
	if err == nil && violations == 0 && cfg.keep == "" {
		return os.RemoveAll(dir)
	}
	fmt.Fprintf(out, "logs, scenario and history: %s\nreplay: %s\n", dir, cfg.replayCommand())
	if err == nil && violations > 0 {
		err = fmt.Errorf("seed %d: %d violations", cfg.seed, violations)
	}
	return err
}

func runDirectory(cfg config) (string, error) {
	if cfg.keep == "" {
		return os.MkdirTemp("", "blox-robustness-")
	}
	dir, err := filepath.Abs(cfg.keep)
	if err != nil {
		return "", err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 { // it may hold an earlier run's etcd
		return "", fmt.Errorf("--keep %s: not empty", cfg.keep)
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// runInDirectory returns the number of violations. An error means that the run could not be completed.
func runInDirectory(ctx context.Context, cfg config, dir string, actions []action, out io.Writer) (n int, err error) {
	h, err := newHistory(dir, out)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	file, err := os.Create(filepath.Join(dir, "scenario.jsonl"))
	if err != nil {
		return 0, err
	}
	if err := errors.Join(writeScenario(file, actions), file.Close()); err != nil {
		return 0, err
	}
	s, err := newSystem(cfg, dir, h)
	if err != nil {
		return 0, err
	}
	defer s.close()
	h.printf("seed %d, faults for %s (%d actions); starting", cfg.seed, cfg.duration, len(actions))
	if err := s.start(ctx); err != nil {
		return 0, err
	}
	r, err := newScenarioRun(s, cfg, dir)
	if err != nil {
		return 0, err
	}
	if err := r.run(ctx, actions); err != nil {
		return 0, err
	}
	// A process that has only just been started again has no signal handler yet.
	if err := s.awaitReady(ctx); err != nil {
		return 0, err
	}
	s.stopServices()
	s.checkLogs()
	h.printSummary()
	return h.violationCount(), nil
}

// scenarioRun holds the clients and checks of one run.
type scenarioRun struct {
	*system
	cfg          config
	dir          string
	watch        *etcdWatch
	users        *userClient
	instances    *instances
	environments *environmentClient
	probes       *probeClient
	streams      []*streamClient
	bad          *badClients
	checker      *checker
	rollouts     *rolloutCheck
	readiness    *readinessCheck
	load         *eventLoad // nil without --events
}

func newScenarioRun(s *system, cfg config, dir string) (*scenarioRun, error) {
	r := &scenarioRun{
		system: s, cfg: cfg, dir: dir,
		watch: newEtcdWatch(s), users: newUserClient(s), instances: &instances{system: s, claimed: map[string]bool{}},
		environments: newEnvironmentClient(s), probes: newProbeClient(s),
	}
	r.bad = &badClients{s, r.environments}
	if cfg.events > 0 {
		r.load = newEventLoad(s, cfg)
	}
	r.checker = &checker{system: s, watch: r.watch, users: r.users, kinesis: cfg.kinesis}
	r.checker.surfaces = surfaceCheck{s, cfg.bin}
	r.rollouts, r.readiness = newRolloutCheck(s, r.users, cfg), newReadinessCheck(s, cfg)
	r.watch.onLaunch = r.rollouts.receiveLaunch
	for n := range s.css {
		r.streams = append(r.streams,
			&streamClient{system: s, kind: "tasks", replica: n},
			&streamClient{system: s, kind: "tasks", replica: n, singleReplica: true},
			&streamClient{system: s, kind: "instances", replica: n})
		i, err := informer.New(informer.Config{
			Endpoints: []string{s.css[n], s.css[(n+1)%len(s.css)]},
			Heartbeat: time.Second,
		})
		if err != nil {
			return nil, err
		}
		r.checker.informers = append(r.checker.informers, i)
	}
	r.checker.streams = r.streams
	return r, nil
}

// run executes the actions while clients work, awaits recovery, and checks what the clients received.
func (r *scenarioRun) run(ctx context.Context, actions []action) error {
	if err := errors.Join(r.instances.register(ctx), r.environments.setUp(ctx)); err != nil {
		return err
	}
	readers := startGroup(ctx)
	defer readers.stop()
	r.startReaders(readers)
	counts := startGroup(ctx)
	defer counts.stop()
	counts.add(r.checker.watchTaskCounts)
	writers := startGroup(ctx)
	defer writers.stop()
	r.startWriters(writers)

	e := &executor{system: r.system, instances: r.instances, users: r.users, watch: r.watch,
		simulated: newSimulatorFaults(r.system)}
	if r.load != nil && r.cfg.has("event-faults") {
		e.simulated.usual = loadFaults
	}
	if err := r.execute(ctx, e, actions); err != nil {
		return err
	}
	r.history.printf("last fault undone")
	if err := r.recover(ctx, e, writers); err != nil {
		return err
	}
	if err := r.checkOutages(ctx, e.simulated); err != nil {
		return err
	}
	if r.cfg.has("slow-readers") {
		if err := r.checker.checkSlowReaders(ctx, r.bad, r.streams); err != nil {
			r.history.printf("slow readers: %s", err)
		}
	}
	r.checkBudget(ctx)
	if r.cfg.has("long-failures") {
		if err := r.readiness.checkFailures(ctx); err != nil {
			return err
		}
	}
	counts.stop()
	if r.cfg.has("late-start") {
		if err := r.checker.checkLateStart(ctx); err != nil {
			r.history.printf("late StartTask: it could not be provoked: %s", err)
		}
	}
	if _, err := r.watch.awaitCurrent(ctx); err != nil {
		return err
	}
	readers.stop()
	if r.load == nil {
		r.rollouts.checkObserved()
	}
	r.checkOperations()
	return ctx.Err()
}

// checkOutages makes single accounts and regions fail if the run has several.
func (r *scenarioRun) checkOutages(ctx context.Context, faults *simulatorFaults) error {
	if !r.cfg.has("region-outage") || !r.cfg.hasPlaceFor("region-outage") {
		return nil
	}
	if err := r.checker.checkRegionOutages(ctx, faults, r.cfg.recovery); err != nil {
		return fmt.Errorf("outages of regions: %w", err)
	}
	return r.checker.awaitRecovery(ctx, r.cfg.recovery)
}

// execute executes the scenario. With an event load, it checks everything and continues with the scenario of the next
// seed until all events are sent.
func (r *scenarioRun) execute(ctx context.Context, e *executor, actions []action) error {
	e.execute(ctx, actions)
	for round := uint64(1); ctx.Err() == nil && r.load != nil && !r.load.finished(); round++ {
		if err := r.checkRound(ctx, e); err != nil {
			return err
		}
		e.execute(ctx, r.cfg.scenario(round))
	}
	return ctx.Err()
}

// checkRound pauses the load, awaits recovery, and checks what the clients received until then.
func (r *scenarioRun) checkRound(ctx context.Context, e *executor) error {
	r.load.pause()
	defer r.load.resume()
	if err := errors.Join(e.clearFaults(ctx), r.instances.restore(ctx)); err != nil {
		return err
	}
	if err := r.checker.awaitRecovery(ctx, r.cfg.recovery); err != nil {
		return err
	}
	if _, err := r.watch.awaitCurrent(ctx); err != nil {
		return err
	}
	r.watch.mu.Lock()
	defer r.watch.mu.Unlock()
	for _, s := range r.streams {
		s.checkCompleted(r.watch.changes, r.watch.firstRevision)
	}
	r.history.printf("checked after %d events: %d violations so far", r.load.sent.Load(), r.history.violationCount())
	return nil
}

// recover ends every fault, stops the writers and waits until the system has recovered.
func (r *scenarioRun) recover(ctx context.Context, e *executor, writers *group) error {
	if err := e.clearFaults(ctx); err != nil {
		return err
	}
	if r.cfg.has("nospace") {
		if err := e.freeEtcd(ctx); err != nil {
			return err
		}
	}
	writers.stop()
	if err := r.instances.restore(ctx); err != nil {
		return err
	}
	r.users.finish(ctx)
	r.environments.readAll(ctx)
	return r.checker.awaitRecovery(ctx, r.cfg.recovery)
}

// startReaders starts what follows the system until the end of the run.
func (r *scenarioRun) startReaders(g *group) {
	g.add(r.watch.run)
	for _, p := range r.places {
		g.add(func(ctx context.Context) { r.watch.checkAcknowledged(ctx, p) })
	}
	g.add(r.readiness.run)
	if r.load == nil { // a load has no environments
		g.add(r.rollouts.run)
	}
	for _, s := range r.streams {
		g.add(s.run)
	}
	for _, i := range r.checker.informers {
		g.add(func(ctx context.Context) { _ = i.Run(ctx) })
	}
}

// startWriters starts the clients that work until the last fault is undone.
func (r *scenarioRun) startWriters(g *group) {
	if r.load != nil {
		g.add(func(ctx context.Context) {
			if err := r.load.run(ctx); err != nil {
				r.history.printf("event load: %s", err)
			}
		})
		return
	}
	seed := r.cfg.seed
	for n := range userSlots {
		g.add(func(ctx context.Context) { r.users.run(ctx, n) })
	}
	for n := range environmentClients {
		g.add(func(ctx context.Context) { r.environments.run(ctx, n, seed) })
	}
	for n := range probeReaders {
		g.add(func(ctx context.Context) { r.probes.read(ctx, n, seed) })
	}
	for n := range probeCount {
		g.add(func(ctx context.Context) { r.probes.write(ctx, n, seed) })
	}
	g.add(func(ctx context.Context) { r.bad.sendInvalid(ctx, seed) })
	for n := range badReaders {
		for _, service := range []string{"css-0", "css-1"} {
			g.add(func(ctx context.Context) { r.bad.neverRead(ctx, service, n) })
		}
	}
}

// checkOperations checks what the clients received in the whole run.
func (r *scenarioRun) checkOperations() {
	for _, s := range r.streams {
		s.check(r.watch.changes, r.watch.firstRevision)
	}
	r.environments.checkLinearizable(r.history, r.dir, "environments are linearizable", environmentModel)
	r.probes.checkLinearizable(r.history, r.dir, "reads of cluster-state-service are linearizable", probeModel)
}

// group is a set of goroutines that end together.
type group struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func startGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

func (g *group) add(run func(context.Context)) { g.running.Go(func() { run(g.ctx) }) }

// stop cancels the goroutines and waits for them.
func (g *group) stop() {
	g.cancel()
	g.running.Wait()
}
