// Package bench measures cluster-state-service and daemon-scheduler. Each figure stands beside a baseline: the least
// that the same work could cost on the same machine, measured in the same run.
//
// Each section starts etcd, the simulator and the services as processes on 127.0.0.1, and stops them at its end. The
// sections of --load put the services under load instead: soak tests look for leaks, overload tests for bad clients'
// effects on good ones.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// section is a part of the benchmark that --run selects by its name.
type section struct {
	name    string
	measure func(context.Context, config, *table) error
}

// speedSections returns the sections in the order of the table.
func speedSections() []section {
	return []section{
		{"ingest", measureIngest},
		{"kinesis", measureKinesis},
		{"reads-10k", readsOf(10_000)},
		{"reads-100k", readsOf(100_000)},
		{"streams", measureStreams},
		{"streams-of-all", measureStreamsOfAll},
		{"startup", measureStartup},
		{"reconcile", measureReconcile},
		{"reconcile-idle", measureIdleReconcile},
		{"reconcile-shared", measureSharedReconcile},
		{"scheduler-start", measureStartLatency},
		{"scheduler-deploy-200", deploymentOn(200)},
		{"scheduler-deploy-5000", deploymentOn(5000)},
		{"scheduler-idle", measureIdle},
		{readSection, measureSchedulerReads},
		{"planner", measurePlanner},
	}
}

// loadSections returns the sections that --load selects.
func loadSections() []section {
	return []section{
		{"soak-events", soakEvents},
		{"soak-streams", soakStreams},
		{"overload", overload},
		{scaleSection, measureScale},
	}
}

// Run parses the arguments, measures the selected sections and prints the table to out. Progress goes to progress. A
// section that fails keeps no other from being measured.
func Run(ctx context.Context, args []string, out, progress io.Writer) error {
	c, err := parseConfig(args, out)
	if err != nil {
		return err
	}
	sections := speedSections()
	if c.load > 0 {
		sections = loadSections()
	}
	t := &table{}
	var failures []error
	for _, s := range sections {
		if !c.sections.MatchString(s.name) || ctx.Err() != nil {
			continue
		}
		start := time.Now()
		outcome := "measured"
		if err := s.measure(ctx, c, t); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", s.name, err))
			outcome = "failed"
		}
		fmt.Fprintf(progress, "%s: %s in %s\n", s.name, outcome, time.Since(start).Round(time.Second))
	}
	t.print(out)
	return errors.Join(failures...)
}
