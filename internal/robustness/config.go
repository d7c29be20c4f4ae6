package robustness

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// config is all that can be set.
type config struct {
	seed     uint64        // --seed: of the schedule and of what users and readers do
	duration time.Duration // --duration: for how long there are faults
	faults   []string      // --faults: the kinds of faults, of faultKinds
	bound    time.Duration // --bound: within which all has to be well after the last fault
	keep     string        // --keep: a directory for logs, schedule and history; a temporary one by default, removed when all is well
	bin      string        // --bin: where the two services, ecs-sim and this program are; beside this program by default
	plan     bool          // --plan: only print the schedule
}

func parseConfig(args []string, help io.Writer) (config, error) {
	c := config{}
	flags := flag.NewFlagSet("blox-robustness", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.Uint64Var(&c.seed, "seed", uint64(time.Now().Unix()%1_000_000), "`number` that the schedule is made of")
	flags.DurationVar(&c.duration, "duration", 5*time.Minute, "`time` for which there are faults")
	faults := flags.String("faults", strings.Join(faultKinds, ","), "`kinds` of faults, with commas")
	flags.DurationVar(&c.bound, "bound", 2*time.Minute, "`time` within which all has to be well after the last fault")
	flags.StringVar(&c.keep, "keep", "", "`directory` for logs, schedule and history; new or empty; by default a temporary one, which is removed when all is well")
	flags.StringVar(&c.bin, "bin", "", "`directory` of the two services, ecs-sim and blox-robustness; this program's own by default")
	flags.BoolVar(&c.plan, "plan", false, "print the schedule and do nothing")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	for kind := range strings.SplitSeq(*faults, ",") {
		if kind != "" && !slices.Contains(faultKinds, kind) {
			return c, fmt.Errorf("--faults: %q is none of %s", kind, strings.Join(faultKinds, ","))
		}
		if kind != "" {
			c.faults = append(c.faults, kind)
		}
	}
	if flags.NArg() > 0 || c.duration < time.Second || c.duration > 24*time.Hour || c.bound <= 0 {
		return c, errors.New("--duration is 1s to 24h, --bound above 0, and there are no arguments")
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

// replay is the command that does the same again.
func (c config) replay() string {
	return fmt.Sprintf("bin/blox-robustness --seed %d --duration %s --faults %s", c.seed, c.duration, strings.Join(c.faults, ","))
}
