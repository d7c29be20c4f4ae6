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

// config is all that can be set. A flag wins over the environment, and that over the default.
type config struct {
	bind      string        // --bind, ECS_SIM_BIND: host:port to serve on; port 0 takes a free one
	clusters  []string      // --cluster, once for each; "default" is always there
	instances int           // --instances: registered in each cluster at the start
	families  []string      // --task-definition, once for each: families with a first revision
	check     bool          // --check: only ask the simulator at bind whether it serves
	sim       ecssim.Config // --region, --account, --queue, --stream, --short-arns, --seed, --acknowledged and the delays
}

// parseConfig reads the flags; with --help it writes them to out and returns flag.ErrHelp.
func parseConfig(args []string, getenv func(string) string, out io.Writer) (config, error) {
	c := config{sim: ecssim.Defaults()}
	flags := flag.NewFlagSet("ecs-sim", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.bind, "bind", cmp.Or(getenv("ECS_SIM_BIND"), "127.0.0.1:4566"), "`host:port` to serve on")
	flags.Func("cluster", "`name` of a cluster to create; once for each (default \"default\")", func(name string) error {
		if !arn.IsClusterName(name) {
			return fmt.Errorf("a cluster's name is 1 to 255 letters, digits, hyphens and underscores")
		}
		c.clusters = append(c.clusters, name)
		return nil
	})
	flags.IntVar(&c.instances, "instances", 0, "`number` of container instances to register in each cluster")
	flags.Func("task-definition", "`family` to register a task definition of; once for each", func(family string) error {
		c.families = append(c.families, family)
		return nil
	})
	flags.BoolVar(&c.check, "check", false, "ask the simulator that serves on --bind, or ECS_SIM_BIND, whether it is alive, and exit with 0 or 1")
	flags.StringVar(&c.sim.Region, "region", cmp.Or(getenv("AWS_REGION"), c.sim.Region), "`region` in the ARNs")
	flags.StringVar(&c.sim.Account, "account", c.sim.Account, "`account` in the ARNs, twelve digits")
	flags.StringVar(&c.sim.QueueName, "queue", c.sim.QueueName, "`name` of the queue that receives the events")
	flags.Func("stream", "`name[:shards]` of a Kinesis stream that receives the events too; one shard by default", func(s string) (err error) {
		c.sim.StreamName, c.sim.StreamShards, err = parseStream(s)
		return err
	})
	flags.BoolVar(&c.sim.ShortARNs, "short-arns", false, "task and container instance ARNs without the cluster's name")
	flags.Uint64Var(&c.sim.Seed, "seed", 0, "`number` that makes the draws of the faults repeat")
	flags.DurationVar(&c.sim.PendingDelay, "pending-delay", c.sim.PendingDelay, "`time` from a task's start to RUNNING")
	flags.DurationVar(&c.sim.StopDelay, "stop-delay", c.sim.StopDelay, "`time` from a task's stop to STOPPED")
	flags.DurationVar(&c.sim.EventDelay, "event-delay", c.sim.EventDelay, "`time` from a change to its event's arrival")
	flags.DurationVar(&c.sim.StoppedTaskRetention, "stopped-task-retention", c.sim.StoppedTaskRetention,
		"`time` for which STOPPED tasks can be described")
	flags.IntVar(&c.sim.Acknowledged, "acknowledged", 0, "`number` of the latest deleted events to remember, for GET /_sim/acknowledged")
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
	if c.instances < 0 || c.instances > 100_000 {
		return config{}, fmt.Errorf("--instances %d is not from 0 to 100000", c.instances)
	}
	name := arn.ARN{Partition: c.sim.Partition, Region: c.sim.Region, Account: c.sim.Account, Kind: arn.Cluster, ID: "default"}
	if _, err := arn.ParseKind(name.String(), arn.Cluster); err != nil {
		return config{}, fmt.Errorf("--region %s, --account %s: %w", c.sim.Region, c.sim.Account, err)
	}
	if len(c.clusters) == 0 {
		c.clusters = []string{"default"}
	}
	return c, nil
}

// parseStream reads name[:shards].
func parseStream(s string) (name string, shards int, err error) {
	name, number, given := strings.Cut(s, ":")
	shards = 1
	if given {
		shards, err = strconv.Atoi(number)
	}
	if err != nil || shards < 1 || shards > ecssim.MaxShards || !ecssim.IsStreamName(name) {
		return "", 0, fmt.Errorf("not the name of a stream, and 1 to %d shards", ecssim.MaxShards)
	}
	return name, shards, nil
}

// exports are the lines of shell that point SDKs and the AWS command line at the simulator.
func (c config) exports(address string) string {
	return strings.Join([]string{
		"export AWS_ENDPOINT_URL=http://" + address, "AWS_REGION=" + c.sim.Region, "AWS_DEFAULT_REGION=" + c.sim.Region,
		"AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any",
	}, " ")
}
