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

// config holds every setting.
type config struct {
	seed     uint64        // --seed: determines the scenario and the clients' choices
	duration time.Duration // --duration: time during which faults are injected
	faults   []string      // --faults: kinds of faults, a subset of faultKinds
	events   int           // --events: changes of the event load; 0 runs clients instead
	etcd     string        // --etcd: program of etcd's members; "" for the etcd that Blox is built with
	kinesis  bool          // --kinesis: events arrive in a Kinesis stream instead of an SQS queue
	etcdAuth bool          // --etcd-auth: clients connect to etcd over TLS and with a password
	recovery time.Duration // --recovery-timeout: time after the last fault within which everything recovers
	keep     string        // --keep: directory for logs, scenario and history; "" for a temporary one
	bin      string        // --bin: directory of the programs; the directory of this program by default
	previous string        // --previous: directory of another version of the services; "" for none
	limits   bool          // --api-limits: the simulator limits the rates of calls as ECS does
	regions  int           // --regions: number of accounts and regions, a prefix of allPlaces
	plan     bool          // --plan: print the scenario and exit
}

func parseConfig(args []string, help io.Writer) (config, error) {
	c := config{}
	flags := flag.NewFlagSet("blox-robustness", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.Uint64Var(&c.seed, "seed", uint64(time.Now().Unix()%1_000_000), "`number` that determines the scenario")
	flags.DurationVar(&c.duration, "duration", 5*time.Minute, "`time` during which faults are injected, 1s to 24h")
	faults := flags.String("faults", strings.Join(faultKinds, ","), "`kinds` of faults, separated by commas")
	flags.DurationVar(&c.recovery, "recovery-timeout", 2*time.Minute,
		"`time` after the last fault within which everything has to recover")
	flags.StringVar(&c.keep, "keep", "", "new or empty `directory` for logs, scenario and history; "+
		"by default a temporary one, removed after a run without violations")
	flags.StringVar(&c.bin, "bin", "", "`directory` of blox, blox-robustness, ecs-sim and the two services; "+
		"this program's own by default")
	flags.IntVar(&c.events, "events", 0, "minimum `number` of events; ECS sends them as fast as Blox consumes them, "+
		"in place of users. The scenario repeats with the next seed until all are sent")
	flags.StringVar(&c.etcd, "etcd", "", "`path` of etcd's program, such as /usr/bin/etcd; by default Blox's own")
	flags.BoolVar(&c.etcdAuth, "etcd-auth", false, "connect to etcd over TLS and with a password")
	flags.BoolVar(&c.kinesis, "kinesis", false, "send events through a Kinesis stream instead of an SQS queue")
	flags.StringVar(&c.previous, "previous", "", "`directory` of the services of another version; each service changes "+
		"its version whenever a kill ends it")
	flags.BoolVar(&c.limits, "api-limits", false, "limit the rates of calls as ECS does")
	flags.IntVar(&c.regions, "regions", 1, fmt.Sprintf("`number` of accounts and regions that Blox manages, 1 to %d",
		len(allPlaces)))
	flags.BoolVar(&c.plan, "plan", false, "print the scenario and exit")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	for kind := range strings.SplitSeq(*faults, ",") {
		if kind != "" && !slices.Contains(faultKinds, kind) {
			return c, fmt.Errorf("--faults: unknown kind %q: must be one of %s", kind, strings.Join(faultKinds, ","))
		}
		if kind != "" {
			c.faults = append(c.faults, kind)
		}
	}
	switch {
	case flags.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case c.duration < time.Second || c.duration > 24*time.Hour:
		return c, fmt.Errorf("--duration %s: must be 1s to 24h", c.duration)
	case c.events < 0:
		return c, fmt.Errorf("--events %d: must not be negative", c.events)
	case c.kinesis && c.events > 0:
		return c, errors.New("--kinesis and --events are mutually exclusive")
	case c.regions < 1 || c.regions > len(allPlaces):
		return c, fmt.Errorf("--regions %d: must be 1 to %d", c.regions, len(allPlaces))
	case c.regions > 1 && c.events > 0:
		return c, errors.New("--regions and --events are mutually exclusive")
	case c.recovery <= 0:
		return c, errors.New("--recovery-timeout: must be above 0")
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

// has reports whether the kind of faults is selected.
func (c config) has(kind string) bool { return slices.Contains(c.faults, kind) }

// scenario returns the scenario of a round. Without --events there is one round, 0.
func (c config) scenario(round uint64) []action {
	faults := slices.DeleteFunc(slices.Clone(c.faults), func(kind string) bool { return !c.hasPlaceFor(kind) })
	return assignPlaces(newScenario(c.seed+round, c.duration, faults, c.events > 0), c.seed+round, c.regions)
}

// hasPlaceFor reports whether the accounts and regions of the run can have the kind of faults.
func (c config) hasPlaceFor(kind string) bool {
	switch kind {
	case "revoked-role":
		return slices.ContainsFunc(allPlaces[:c.regions], func(p place) bool { return p.role != "" })
	case "region-outage":
		return c.regions > 1
	}
	return true
}

// replayCommand returns the command that repeats the run.
func (c config) replayCommand() string {
	command := fmt.Sprintf("bin/blox-robustness --seed %d --duration %s --faults %s",
		c.seed, c.duration, strings.Join(c.faults, ","))
	if c.events > 0 {
		command += fmt.Sprintf(" --events %d", c.events)
	}
	if c.etcd != "" {
		command += " --etcd " + c.etcd
	}
	if c.kinesis {
		command += " --kinesis"
	}
	if c.previous != "" {
		command += " --previous " + c.previous
	}
	if c.regions > 1 {
		command += fmt.Sprintf(" --regions %d", c.regions)
	}
	if c.limits {
		command += " --api-limits"
	}
	if c.etcdAuth {
		command += " --etcd-auth"
	}
	return command
}
