package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/probe"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/version"
)

type probeFlags struct {
	probe.Config
	once        bool
	interval    time.Duration
	metricsBind string
}

func newProbeCommand(a *app) *cobra.Command {
	var f probeFlags
	cmd := &cobra.Command{
		Use: "probe", Short: "Check Blox from end to end, once or at an interval, and export metrics",
		Long: `Check a running Blox from end to end, at an interval, and export the outcome as Prometheus metrics.

Each run queries both services, then creates and deploys an environment of its own. It waits until a task runs on
every instance that --query selects, and checks that lists and the stream report the tasks. At the end, it deletes the
environment with its tasks. If a run is interrupted, the next run deletes its environment. The probe never changes an
environment that it did not create. With --read-only, it only queries.

With --once, the exit code is the outcome: 0 if every step succeeded, 1 if one failed.`,
		Example: `  blox probe --once --cluster default --task-definition agent:1
  blox probe --cluster default --task-definition agent:1 --query 'attribute:probe exists' --metrics-bind :9100
  blox probe --read-only --once`,
		Args: positionalArgs(), ValidArgsFunction: noFiles,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Name, "name", "blox-probe", "`name` of the probe's environment; two probes need two names")
	flags.StringVar(&f.Cluster, "cluster", "",
		"run the tasks in this cluster, a `name` or an ARN; with --read-only, query it")
	flags.StringVar(&f.TaskDefinition, "task-definition", "",
		"task to run, `family:revision` or ARN; choose something small and harmless")
	flags.StringVar(&f.Query, "query", "", "run only on the instances that this `query` selects")
	flags.BoolVar(&f.ReadOnly, "read-only", false, "create and start nothing")
	flags.DurationVar(&f.StepTimeout, "step-timeout", 5*time.Minute,
		"`duration` that the tasks may take to run, and to stop")
	flags.DurationVar(&f.StreamDelay, "stream-delay", 10*time.Second,
		"`duration` by which the stream may trail daemon-scheduler")
	flags.BoolVar(&f.once, "once", false, "run once and report the outcome as the exit code")
	flags.DurationVar(&f.interval, "interval", 5*time.Minute,
		"`duration` from the start of a run to the start of the next")
	flags.StringVar(&f.metricsBind, "metrics-bind", "", "serve GET /metrics on this `host:port`")
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
	run := a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
		f.Clients = c
		return a.probe(ctx, f)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.validate(); err != nil {
			return &usageError{cmd, err}
		}
		return run(cmd, args)
	}
	return cmd
}

func (f probeFlags) validate() error {
	switch {
	case !f.ReadOnly && f.Cluster == "":
		return errors.New("--cluster is required without --read-only")
	case !f.ReadOnly && f.TaskDefinition == "":
		return errors.New("--task-definition is required without --read-only")
	case !f.ReadOnly && f.Name == "":
		return errors.New("--name is empty")
	case f.StepTimeout <= 0, f.StreamDelay <= 0, f.interval <= 0:
		return errors.New("--step-timeout, --stream-delay and --interval must be above 0")
	case f.once && f.metricsBind != "":
		return errors.New("--once and --metrics-bind are mutually exclusive: the process ends before a scrape")
	}
	return nil
}

// probe runs the probe once, or at the interval until ctx ends.
func (a *app) probe(ctx context.Context, f probeFlags) error {
	if f.once {
		return a.probeOnce(ctx, f)
	}
	registry := prometheus.NewRegistry()
	version.Register(registry, "probe")
	metrics := probe.NewMetrics(registry, f.ReadOnly)
	group, ctx := errgroup.WithContext(ctx)
	if f.metricsBind != "" {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.metricsBind)
		if err != nil {
			return fmt.Errorf("--metrics-bind: %w", err)
		}
		a.info("metrics at http://%s/metrics", listener.Addr())
		group.Go(func() error { return a.serveMetrics(ctx, listener, registry) })
	}
	group.Go(func() error { return a.probeRepeatedly(ctx, f, metrics) })
	return group.Wait()
}

func (a *app) probeOnce(ctx context.Context, f probeFlags) error {
	report, err := probe.Run(ctx, f.Config)
	if err != nil {
		return err
	}
	if err := a.print(report, func(show.Style) printable { return steps(report) }); err != nil {
		return err
	}
	if !report.Healthy {
		return &outcome{exitError}
	}
	return nil
}

func (a *app) serveMetrics(ctx context.Context, listener net.Listener, registry *prometheus.Registry) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", httpserver.MetricsHandler(registry))
	log := logrus.New()
	log.SetOutput(a.Err)
	log.SetLevel(logrus.WarnLevel)
	return httpserver.Serve(ctx, listener, httpserver.RedirectToCleanPath(mux), log)
}

func (a *app) probeRepeatedly(ctx context.Context, f probeFlags, metrics *probe.Metrics) error {
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	for {
		report, err := probe.Run(ctx, f.Config)
		if err != nil {
			return nil // ctx ended
		}
		metrics.Observe(report)
		if err := a.printReport(report); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// printReport prints one line for a run and one for each failed step.
func (a *app) printReport(report probe.Report) error {
	style := a.style(a.Out)
	if style.Structured() {
		line, err := json.Marshal(report)
		if err != nil {
			return err
		}
		return style.EncodeLine(a.Out, line)
	}
	text := fmt.Sprintf("%s  %d steps in %.1fs", report.StartedAt.Format(time.RFC3339), len(report.Steps), report.Seconds)
	for _, s := range report.Failed() {
		text += fmt.Sprintf("\n  %s failed after %.1fs: %s", s.Name, s.Seconds, strings.ReplaceAll(s.Error, "\n", " "))
	}
	_, err := fmt.Fprintln(a.Out, text)
	return err
}

func steps(report probe.Report) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("STEP", "OK", "SECONDS", "ERROR~")}
	for _, s := range report.Steps {
		rows.Add(s.Name, show.YesNo(s.Error == ""), fmt.Sprintf("%.3f", s.Seconds), s.Error)
	}
	return rows
}
