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
)

// canaryFlags are those of canary.
type canaryFlags struct {
	probe.Config
	once        bool
	interval    time.Duration
	metricsBind string
}

func newCanaryCommand(a *app) *cobra.Command {
	var f canaryFlags
	cmd := &cobra.Command{
		Use: "canary", Short: "Check Blox from end to end, again and again, and show the outcome as metrics",
		Long: `Check a running Blox from end to end, at an interval, and show the outcome as Prometheus metrics.

A run asks both services whether they are well and what they know, creates an environment of its own, deploys it,
waits until its task runs on every instance that --query selects, sees the tasks in lists and in the stream, and
deletes the environment and its tasks. What an interrupted run has left, the next one deletes. It never touches an
environment that it has not made. With --read-only it asks and starts nothing.

With --once the exit code tells the outcome: 0, or 1 when a step has failed.`,
		Example: `  blox canary --once --cluster default --task-definition agent:1
  blox canary --cluster default --task-definition agent:1 --query 'attribute:canary exists' --metrics-bind :9100
  blox canary --read-only --once`,
		Args: names(), ValidArgsFunction: noFiles,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Name, "name", "blox-canary", "`name` of the environment; two canaries need two")
	flags.StringVar(&f.Cluster, "cluster", "", "where its tasks run, a `name` or an ARN; with --read-only, what is asked for")
	flags.StringVar(&f.TaskDefinition, "task-definition", "", "what runs: `family:revision` or ARN; something small that does no harm")
	flags.StringVar(&f.Query, "query", "", "only on the instances that this `query` selects")
	flags.BoolVar(&f.ReadOnly, "read-only", false, "create and start nothing")
	flags.DurationVar(&f.Wait, "wait", 5*time.Minute, "`time` that the tasks may take to run, and to stop")
	flags.DurationVar(&f.Freshness, "freshness", 10*time.Second, "`time` within which the stream has to show what daemon-scheduler knows")
	flags.BoolVar(&f.once, "once", false, "one run, and its outcome as the exit code")
	flags.DurationVar(&f.interval, "interval", 5*time.Minute, "`time` from the beginning of a run to that of the next")
	flags.StringVar(&f.metricsBind, "metrics-bind", "", "`host:port` to serve GET /metrics on")
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
	run := a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
		f.Clients = c
		return a.canary(ctx, f)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.problem(); err != nil {
			return &usageError{cmd, err}
		}
		return run(cmd, args)
	}
	return cmd
}

func (f canaryFlags) problem() error {
	switch {
	case !f.ReadOnly && f.Cluster == "":
		return errors.New("--cluster is missing, or --read-only")
	case !f.ReadOnly && f.TaskDefinition == "":
		return errors.New("--task-definition is missing, or --read-only")
	case !f.ReadOnly && f.Name == "":
		return errors.New("--name is empty")
	case f.Wait <= 0, f.Freshness <= 0, f.interval <= 0:
		return errors.New("--wait, --freshness and --interval have to be more than 0")
	case f.once && f.metricsBind != "":
		return errors.New("--once ends before anybody could read the metrics of --metrics-bind")
	}
	return nil
}

// canary runs once, or until ctx ends.
func (a *app) canary(ctx context.Context, f canaryFlags) error {
	if f.once {
		report, err := probe.Run(ctx, f.Config)
		if err != nil {
			return err
		}
		if err := a.print(report, func(show.Style) written { return steps(report) }); err != nil {
			return err
		}
		if !report.Healthy {
			return &outcome{exitError}
		}
		return nil
	}
	registry := prometheus.NewRegistry()
	metrics := probe.NewMetrics(registry, f.ReadOnly)
	parts, ctx := errgroup.WithContext(ctx)
	if f.metricsBind != "" {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.metricsBind)
		if err != nil {
			return fmt.Errorf("--metrics-bind: %w", err)
		}
		a.note("metrics at http://%s/metrics", listener.Addr())
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", httpserver.MetricsHandler(registry))
		log := logrus.New()
		log.SetOutput(a.Err)
		log.SetLevel(logrus.WarnLevel)
		parts.Go(func() error { return httpserver.Serve(ctx, listener, httpserver.Clean(mux), log) })
	}
	parts.Go(func() error {
		next := time.NewTicker(f.interval)
		defer next.Stop()
		for {
			report, err := probe.Run(ctx, f.Config)
			if err != nil {
				return nil // ctx has ended
			}
			metrics.Count(report)
			if err := a.tell(report); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-next.C:
			}
		}
	})
	return parts.Wait()
}

// tell says how a run went, in a line, and one for each step that failed.
func (a *app) tell(report probe.Report) error {
	style := a.style(a.Out)
	if style.Format != show.Table {
		line, err := json.Marshal(report)
		if err != nil {
			return err
		}
		return show.EncodeLine(a.Out, style.Format, line)
	}
	said := fmt.Sprintf("%s  %d steps in %.1fs", report.StartedAt.Format(time.RFC3339), len(report.Steps), report.Seconds)
	for _, s := range report.Failed() {
		said += fmt.Sprintf("\n  %s failed after %.1fs: %s", s.Name, s.Seconds, strings.ReplaceAll(s.Error, "\n", " "))
	}
	_, err := fmt.Fprintln(a.Out, said)
	return err
}

func steps(report probe.Report) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("STEP", "OK", "SECONDS", "WHAT WAS WRONG~")}
	for _, s := range report.Steps {
		rows.Add(s.Name, show.YesNo(s.Error == ""), fmt.Sprintf("%.3f", s.Seconds), s.Error)
	}
	return rows
}
