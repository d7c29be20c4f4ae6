package source

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/cluster-state-service/reconcile"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/cluster-state-service/store"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/reload"
)

// Config configures Sources.
type Config struct {
	// Specs are the sources. File is the path of a file with them, which is reloaded when it changes; empty for none.
	Specs []Spec
	File  string
	// Several is whether logs name the source, as they do unless the service has one by --queue alone.
	Several bool
	AWS     aws.Config // of the service's own credentials and region
	Getenv  func(string) string
	Store   *store.Store
	Cache   *cache.Cache
	Replica string // this replica's name, unique among the replicas that share etcd

	ReconcileInterval    time.Duration // between two reconciliations of a cluster
	StoppedTaskRetention time.Duration
	// Greatest numbers of calls per second in each account and region.
	ReadRate, LookupRate, ReconcileRate float64
	Pollers                             int // concurrent receives from each SQS queue
	Log                                 logrus.FieldLogger
	Metrics                             prometheus.Registerer
	ReloadInterval                      time.Duration // between two reads of File; 0 for the default
}

// Sources are the accounts and regions that the service serves. Its methods are safe for concurrent use.
type Sources struct {
	Config
	file    *reload.File[[]Spec] // nil without a file
	current atomic.Pointer[[]*source]
}

// New returns Sources, which Run starts. It makes no call.
func New(cfg Config) (*Sources, error) {
	s := &Sources{Config: cfg}
	failures := promauto.With(cfg.Metrics).NewCounter(prometheus.CounterOpts{
		Name: "blox_css_sources_file_reload_failures_total",
		Help: "Total number of failed attempts to reload the sources file.",
	})
	if cfg.File != "" {
		var err error
		s.file, s.Specs, err = reload.Open(reload.Config[[]Spec]{
			Path: cfg.File, Parse: ParseFile, Interval: cfg.ReloadInterval, Failures: failures,
			Log: logging.NewFailureLog(cfg.Log.WithField("file", cfg.File),
				"failed to reload the sources file; the earlier one stays in use", "the sources file is valid again"),
		})
		if err != nil {
			return nil, fmt.Errorf("sources file: %w", err)
		}
	}
	var all []*source
	for _, spec := range s.Specs {
		added, err := newSource(s.Config, spec, true)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", spec.Name(), err)
		}
		all = append(all, added)
	}
	s.current.Store(&all)
	return s, nil
}

func (s *Sources) all() []*source { return *s.current.Load() }

// Regions returns the account and region of each source.
func (s *Sources) Regions() []state.Source {
	all := s.all()
	regions := make([]state.Source, len(all))
	for i, one := range all {
		regions[i] = one.state()
	}
	return regions
}

// reconcilerOf returns the reconciler of a cluster's account and region. An error wraps state.ErrForeignCluster if no
// source covers it.
func (s *Sources) reconcilerOf(clusterARN string) (*reconcile.Reconciler, error) {
	cluster, err := arn.ParseKind(clusterARN, arn.Cluster)
	if err != nil {
		return nil, err
	}
	var candidate *reconcile.Reconciler
	for _, one := range s.all() {
		covers, known := one.covers(cluster)
		switch {
		case covers && known:
			return one.reconciler, nil
		case covers:
			candidate = one.reconciler
		}
	}
	if candidate == nil {
		return nil, fmt.Errorf("cluster %s: %w", clusterARN, state.ErrForeignCluster)
	}
	return candidate, nil
}

// Describe implements ingest.Describer.
func (s *Sources) Describe(
	ctx context.Context, kind state.Kind, clusterARN string, arns []string,
) (state.Description, error) {
	r, err := s.reconcilerOf(clusterARN)
	if err != nil {
		return state.Description{}, err
	}
	return r.Describe(ctx, kind, clusterARN, arns)
}

// RefreshInstances corrects the records of a cluster's container instances from ECS; see
// reconcile.Reconciler.RefreshInstances.
func (s *Sources) RefreshInstances(ctx context.Context, clusterARN string, arns []string) (corrected int, err error) {
	r, err := s.reconcilerOf(clusterARN)
	if err != nil {
		return 0, err
	}
	return r.RefreshInstances(ctx, clusterARN, arns)
}

// QueueProblems returns, for each source with a queue or stream, why the service does not receive its events; "" if it
// does. The order is that of Regions.
func (s *Sources) QueueProblems() (problems []state.QueueProblem) {
	for _, one := range s.all() {
		if one.connectivity != nil {
			problems = append(problems, state.QueueProblem{Source: one.Name(), Text: one.connectivity.Problem()})
		}
	}
	return problems
}

// ReceivedAt returns when a receive last succeeded, of the queue or stream for which that is the longest ago; zero as
// long as one was never received from.
func (s *Sources) ReceivedAt() (at time.Time) {
	first := true
	for _, one := range s.all() {
		if one.connectivity == nil {
			continue
		}
		if received := one.connectivity.ReceivedAt(); first || received.Before(at) {
			at, first = received, false
		}
	}
	return at
}

// Run runs every source until ctx ends. writer records the events, and runs meanwhile.
func (s *Sources) Run(ctx context.Context, writer *ingest.Writer) error {
	for _, one := range s.all() {
		s.start(ctx, one, writer)
	}
	s.follow(ctx, writer)
	var stopping sync.WaitGroup
	for _, one := range s.all() {
		stopping.Go(one.stop)
	}
	stopping.Wait()
	return nil
}

// start starts a source, which ends with ctx or by its stop.
func (s *Sources) start(ctx context.Context, one *source, writer *ingest.Writer) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"source": one.Name()}, s.Metrics)
	labelled.MustRegister(one.metrics)
	one.stop = func() {
		cancel()
		<-ended
		labelled.Unregister(one.metrics)
	}
	go func() {
		defer close(ended)
		if err := one.run(ctx, s.Config, writer); err != nil && ctx.Err() == nil {
			one.log.WithError(err).Error("source ended")
		}
	}()
}

// follow reloads the file until ctx ends.
func (s *Sources) follow(ctx context.Context, writer *ingest.Writer) {
	if s.file == nil {
		<-ctx.Done()
		return
	}
	s.file.Run(ctx, func(specs []Spec) error { return s.use(ctx, writer, specs) })
}

// use starts and stops sources by a changed file. Sources that the file still has go on.
func (s *Sources) use(ctx context.Context, writer *ingest.Writer, specs []Spec) error {
	next, added, err := s.change(specs)
	if err != nil {
		return err
	}
	removed := slices.DeleteFunc(slices.Clone(s.all()), func(one *source) bool { return slices.Contains(next, one) })
	s.current.Store(&next) // no request reaches a source that stops
	for _, one := range removed {
		one.stop()
		one.log.Info("source removed")
	}
	for _, one := range added {
		s.start(ctx, one, writer)
		one.log.WithField("queue", one.Queue).Info("source added")
	}
	return nil
}

// change returns the sources of a changed file. Those that run keep running; added are the others.
func (s *Sources) change(specs []Spec) (next, added []*source, err error) {
	for _, spec := range specs {
		running := slices.IndexFunc(s.all(), func(one *source) bool { return one.Spec == spec })
		if running >= 0 {
			next = append(next, s.all()[running])
			continue
		}
		one, err := newSource(s.Config, spec, false)
		if err != nil {
			return nil, nil, fmt.Errorf("source %s: %w", spec.Name(), err)
		}
		next, added = append(next, one), append(added, one)
	}
	return next, added, nil
}
