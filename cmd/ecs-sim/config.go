package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/ecssim"
)

const maxInstances = 100_000

// config holds every setting. Flags override environment variables, which override defaults.
type config struct {
	bind        string        // --bind, ECS_SIM_BIND: listen address, host:port; port 0 selects a free one
	clusters    []string      // --cluster (repeatable); "default" if there is none
	instances   int           // --instances: number registered in each cluster at the start
	families    []string      // --task-definition (repeatable): families with one revision
	healthcheck bool          // --healthcheck: query the simulator at bind instead of serving
	regions     []string      // --region (repeatable), AWS_REGION; the first one has the control API's default
	accounts    []string      // --account (repeatable); the credentials of no role belong to the first one
	sim         ecssim.Config // of each place: --queue, --stream, --short-arns, --seed, --acknowledged, --changes, delays
}

// parseConfig reads flags and environment. With --help it writes the flags to out and returns flag.ErrHelp.
func parseConfig(args []string, getenv func(string) string, out io.Writer) (config, error) {
	c := config{sim: ecssim.Defaults()}
	flags := flag.NewFlagSet("ecs-sim", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	c.addFlags(flags, getenv)
	c.addPlaceFlags(flags)
	c.addSimulatorFlags(flags)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(out)
			flags.Usage()
		}
		return config{}, err
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if c.instances < 0 || c.instances > maxInstances {
		return config{}, fmt.Errorf("--instances %d: must be 0 to %d", c.instances, maxInstances)
	}
	if err := c.sim.ValidateRetries(); err != nil {
		return config{}, fmt.Errorf("--retry-age, --retries: %w", err)
	}
	if len(c.clusters) == 0 {
		c.clusters = []string{"default"}
	}
	if len(c.regions) == 0 {
		c.regions = []string{cmp.Or(getenv("AWS_REGION"), c.sim.Region)}
	}
	if len(c.accounts) == 0 {
		c.accounts = []string{c.sim.Account}
	}
	return c, c.validatePlaces()
}

// places returns the configuration of a simulator for each account and region, that of the first ones first.
func (c config) places() (all []ecssim.Config) {
	for _, account := range c.accounts {
		for _, region := range c.regions {
			place := c.sim
			place.Account, place.Region = account, region
			all = append(all, place)
		}
	}
	return all
}

func (c config) validatePlaces() error {
	known := map[string]bool{}
	for _, place := range c.places() {
		name := arn.ARN{
			Partition: place.Partition, Region: place.Region, Account: place.Account, Kind: arn.Cluster, ID: "default",
		}.String()
		if _, err := arn.ParseKind(name, arn.Cluster); err != nil {
			return fmt.Errorf("--region %s, --account %s: %w", place.Region, place.Account, err)
		}
		if known[name] {
			return fmt.Errorf("--region %s, --account %s: given twice", place.Region, place.Account)
		}
		known[name] = true
	}
	return nil
}

// addFlags adds the flags of the server and of what exists at the start.
func (c *config) addFlags(flags *flag.FlagSet, getenv func(string) string) {
	bind := cmp.Or(getenv("ECS_SIM_BIND"), "127.0.0.1:4566")
	flags.StringVar(&c.bind, "bind", bind, "listen address, `host:port`")
	flags.Func("cluster", "`name` of a cluster to create; repeatable (default \"default\")", func(name string) error {
		if !arn.IsClusterName(name) {
			return errors.New("must be 1 to 255 letters, digits, hyphens and underscores")
		}
		c.clusters = append(c.clusters, name)
		return nil
	})
	flags.IntVar(&c.instances, "instances", 0, "`number` of container instances in each cluster, 0 to 100000")
	flags.Func("task-definition", "`family` with one task definition; repeatable", func(family string) error {
		c.families = append(c.families, family)
		return nil
	})
	flags.BoolVar(&c.healthcheck, "healthcheck", false,
		"exit with 0 if the simulator at --bind or ECS_SIM_BIND serves, else with 1")
}

// addPlaceFlags adds the flags of the accounts and regions.
func (c *config) addPlaceFlags(flags *flag.FlagSet) {
	repeatable := func(values *[]string) func(string) error {
		return func(value string) error {
			*values = append(*values, value)
			return nil
		}
	}
	flags.Func("region", fmt.Sprintf("AWS `region`; repeatable (default AWS_REGION or %q)", c.sim.Region),
		repeatable(&c.regions))
	flags.Func("account", fmt.Sprintf("AWS `account`, twelve digits; repeatable (default %q)", c.sim.Account),
		repeatable(&c.accounts))
}

// addSimulatorFlags adds the flags of the simulated AWS.
func (c *config) addSimulatorFlags(flags *flag.FlagSet) {
	sim := &c.sim
	flags.StringVar(&sim.QueueName, "queue", sim.QueueName, "`name` of the SQS queue for events")
	flags.Func("stream", "`name[:shards]` of a Kinesis stream for events; one shard by default",
		func(s string) (err error) {
			sim.StreamName, sim.StreamShards, err = parseStream(s)
			return err
		})
	flags.BoolVar(&sim.ShortARNs, "short-arns", false,
		"use task and container instance ARNs without the cluster's name")
	flags.Uint64Var(&sim.Seed, "seed", 0, "`number` that determines the random faults")
	flags.DurationVar(&sim.PendingDelay, "pending-delay", sim.PendingDelay, "`time` from a task's start to RUNNING")
	flags.DurationVar(&sim.StopDelay, "stop-delay", sim.StopDelay, "`time` from a task's stop to STOPPED")
	flags.DurationVar(&sim.HealthDelay, "health-delay", sim.HealthDelay,
		"`time` from RUNNING to the first result of container health checks")
	flags.DurationVar(&sim.LostHostDelay, "lost-host-delay", sim.LostHostDelay,
		"`time` from the failure of a host to its tasks' STOPPED")
	flags.DurationVar(&sim.EventDelay, "event-delay", sim.EventDelay,
		"`time` from a change to the arrival of its event")
	flags.DurationVar(&sim.StoppedTaskRetention, "stopped-task-retention", sim.StoppedTaskRetention,
		"`time` during which STOPPED tasks can be described")
	flags.StringVar(&sim.DeadLetterQueue, "dead-letter-queue", "",
		"`name` of an SQS queue for events that could not be delivered")
	flags.DurationVar(&sim.RetryAge, "retry-age", sim.RetryAge, "`time` during which a failed delivery is retried")
	flags.IntVar(&sim.Retries, "retries", sim.Retries, "`number` of times that a failed delivery is retried, -1 for none")
	flags.DurationVar(&sim.RetryBackoff, "retry-backoff", sim.RetryBackoff, "first `time` between two retries")
	flags.BoolVar(&sim.APILimits, "api-limits", false,
		"throttle calls of ECS as its published token buckets do")
	flags.IntVar(&sim.Acknowledged, "acknowledged", 0,
		"`number` of deleted events that GET /_sim/acknowledged can return")
	flags.IntVar(&sim.Changes, "changes", 0, "`number` of changes that GET /_sim/changes can return")
}

// parseStream parses name[:shards].
func parseStream(s string) (name string, shards int, err error) {
	name, number, found := strings.Cut(s, ":")
	shards = 1
	if found {
		shards, err = strconv.Atoi(number)
	}
	if err != nil || shards < 1 || shards > ecssim.MaxShards || !ecssim.IsStreamName(name) {
		return "", 0, fmt.Errorf("must be a stream's name, optionally with 1 to %d shards", ecssim.MaxShards)
	}
	return name, shards, nil
}

// exportCommand returns a shell command that directs SDKs and the AWS CLI to the simulator.
func (c config) exportCommand(address string) string {
	return "export AWS_ENDPOINT_URL=http://" + address +
		" AWS_REGION=" + c.regions[0] + " AWS_DEFAULT_REGION=" + c.regions[0] +
		" AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any"
}
