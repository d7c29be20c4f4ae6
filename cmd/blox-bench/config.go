package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// config is all that can be set.
type config struct {
	sections *regexp.Regexp // --run: which sections to measure
	runs     int            // --runs: of each pair; the table has the medians
	time     time.Duration  // --time: of one run, where a run is not given by its work
	load     time.Duration  // --load: of the sections about load, in place of all others; 0 for the others
	pollers  int            // --pollers: of the service, and of its floor
	profiles string         // --profiles: a directory for CPU and heap profiles of the service; "" for none
	bin      string         // --bin: where the two services and ecs-sim are; beside this program by default
}

type section struct {
	name    string
	measure func(context.Context, config, *table) error
}

// sections are what can be measured, in the table's order.
var sections = []section{
	{"ingest", ingest},
	{"kinesis", kinesis},
	{"reads-10k", func(ctx context.Context, c config, t *table) error { return reads(ctx, c, t, 10_000) }},
	{"reads-100k", func(ctx context.Context, c config, t *table) error { return reads(ctx, c, t, 100_000) }},
	{"streams", streams},
	{"startup", startup},
	{"reconcile", reconcile},
	{"scheduler-start", schedulerStart},
	{"scheduler-deploy-200", func(ctx context.Context, c config, t *table) error { return schedulerDeploy(ctx, c, t, 200) }},
	{"scheduler-deploy-5000", func(ctx context.Context, c config, t *table) error { return schedulerDeploy(ctx, c, t, 5_000) }},
	{"scheduler-rest", schedulerRest},
	{"planner", plans},
}

// loads are measured with --load.
var loads = []section{{"load-events", endure}, {"load-streams", crowd}, {"load-siege", siege}}

func parseConfig(args []string, help io.Writer) (config, error) {
	c := config{}
	flags := flag.NewFlagSet("blox-bench", flag.ContinueOnError)
	flags.SetOutput(help)
	only := flags.String("run", "", "`regexp` of the sections to measure: ingest, kinesis, reads-10k, reads-100k, streams, startup, reconcile, "+
		"scheduler-start, scheduler-deploy-200, scheduler-deploy-5000, scheduler-rest, planner; with --load: load-events, load-streams, load-siege")
	flags.DurationVar(&c.load, "load", 0, "`time` to put the services under load for, in place of all other sections: 10m")
	flags.IntVar(&c.runs, "runs", 3, "`number` of runs of each pair; the table has the medians")
	flags.DurationVar(&c.time, "time", time.Second, "`time` of one run of reads and streams")
	flags.IntVar(&c.pollers, "pollers", 16, "`number` of receives from the queue at a time, of the service and of its floor")
	flags.StringVar(&c.profiles, "profiles", "", "`directory` for CPU and heap profiles of the service")
	flags.StringVar(&c.bin, "bin", "", "`directory` of the two services and ecs-sim; this program's own by default")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	var err error
	if c.sections, err = regexp.Compile(*only); err != nil {
		return c, fmt.Errorf("--run: %w", err)
	}
	if flags.NArg() > 0 || c.runs < 1 || c.runs > 100 || c.pollers < 1 || c.pollers > 100 || c.time <= 0 || c.time > time.Minute {
		return c, errors.New("--runs and --pollers are 1 to 100, --time is above 0 and up to 1m, and there are no arguments")
	}
	if c.load < 0 || c.load > 0 && c.load < 10*time.Second {
		return c, errors.New("--load is 10s at least")
	}
	if c.bin == "" {
		self, err := os.Executable()
		if err != nil {
			return c, fmt.Errorf("--bin: %w", err)
		}
		c.bin = filepath.Dir(self)
	}
	return c, nil
}

// measure goes through the sections and prints the table.
func measure(ctx context.Context, c config, out io.Writer) error {
	t, asked := &table{}, sections
	if c.load > 0 {
		asked = loads
	}
	for _, s := range asked {
		if !c.sections.MatchString(s.name) {
			continue
		}
		began := time.Now()
		if err := s.measure(ctx, c, t); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: measured in %s\n", s.name, time.Since(began).Round(time.Second))
	}
	t.print(out)
	return nil
}
