package robustness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/harness/testclock"
)

// clockFaults are the faults of clocks. They need services built with a test clock.
var clockFaults = []string{"clock-step", "suspend"}

// clockDirectory holds the services built with a test clock, below --bin.
const clockDirectory = "testclock"

// maxClockStep bounds the steps of a wall clock. Correct clocks differ by milliseconds; one set to the wrong time zone
// differs by hours.
const maxClockStep = 3 * time.Hour

// addClocks gives each service a clock of its own if the run has faults of clocks.
func (s *system) addClocks(cfg config, dir string) error {
	if !slices.ContainsFunc(clockFaults, cfg.has) {
		return nil
	}
	for _, program := range []string{"cluster-state-service", "daemon-scheduler"} {
		path := filepath.Join(cfg.bin, clockDirectory, program)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("--faults %s,%s: %s does not exist; build it with make testclock",
				clockFaults[0], clockFaults[1], path)
		}
	}
	for _, name := range serviceNames {
		clock, err := testclock.New(filepath.Join(dir, name+".clock"))
		if err != nil {
			return err
		}
		s.clocks[name] = clock
	}
	return nil
}

// serviceProgram returns the path of a service's program below --bin.
func (s *system) serviceProgram(name string) string {
	if len(s.clocks) == 0 {
		return name
	}
	return filepath.Join(clockDirectory, name)
}

// stepClock sets a service's wall clock forward or backward for a while. Most steps are of seconds.
func (e *executor) stepClock(ctx context.Context, a action) error {
	x := 2*a.Pick - 1
	by := time.Duration(x * x * x * float64(maxClockStep))
	clock := e.clocks[a.Target]
	if err := clock.Step(by); err != nil {
		return err
	}
	backoff.Sleep(ctx, a.Duration)
	return clock.Step(-by)
}
