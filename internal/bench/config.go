package bench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// config holds every setting.
type config struct {
	sections *regexp.Regexp // --run: sections to measure
	runs     int            // --runs: repetitions of each measurement; the table has the medians
	duration time.Duration  // --time: duration of one run of reads and streams
	load     time.Duration  // --load: duration of the soak and overload sections; 0 selects all other sections
	pollers  int            // --pollers: concurrent receives from the queue, of the service and of the baseline
	profiles string         // --profiles: directory for CPU and heap profiles of the services; "" for none
	bin      string         // --bin: directory of the two services and ecs-sim; this program's own by default
}

func parseConfig(args []string, help io.Writer) (config, error) {
	c := config{}
	flags := flag.NewFlagSet("blox-bench", flag.ContinueOnError)
	flags.SetOutput(help)
	sections := flags.String("run", "", fmt.Sprintf("`regexp` of the sections to measure: %s; with --load: %s",
		names(speedSections()), names(loadSections())))
	flags.DurationVar(&c.load, "load", 0,
		"`duration` of the soak and overload sections, which run in place of all others, such as 10m")
	flags.IntVar(&c.runs, "runs", 3, "`number` of runs of each measurement; the table has the medians")
	flags.DurationVar(&c.duration, "time", time.Second, "`duration` of one run of reads and streams")
	flags.IntVar(&c.pollers, "pollers", 16,
		"`number` of concurrent receives from the queue, of the service and of the baseline")
	flags.StringVar(&c.profiles, "profiles", "", "`directory` for CPU and heap profiles of the services")
	flags.StringVar(&c.bin, "bin", "", "`directory` of the two services and ecs-sim; this program's own by default")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	var err error
	if c.sections, err = regexp.Compile(*sections); err != nil {
		return c, fmt.Errorf("--run: %w", err)
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := c.validate(); err != nil {
		return c, err
	}
	if c.profiles != "" {
		if err := os.MkdirAll(c.profiles, 0o755); err != nil {
			return c, fmt.Errorf("--profiles: %w", err)
		}
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

func (c config) validate() error {
	var problems []error
	if c.runs < 1 || c.runs > 100 {
		problems = append(problems, fmt.Errorf("--runs %d: must be 1 to 100", c.runs))
	}
	if c.pollers < 1 || c.pollers > 100 {
		problems = append(problems, fmt.Errorf("--pollers %d: must be 1 to 100", c.pollers))
	}
	if c.duration <= 0 || c.duration > time.Minute {
		problems = append(problems, fmt.Errorf("--time %s: must be above 0 and at most 1m", c.duration))
	}
	if c.load < 0 || c.load > 0 && c.load < 10*time.Second {
		problems = append(problems, fmt.Errorf("--load %s: must be at least 10s", c.load))
	}
	return errors.Join(problems...)
}

func names(sections []section) string {
	var all []string
	for _, s := range sections {
		all = append(all, s.name)
	}
	return strings.Join(all, ", ")
}
