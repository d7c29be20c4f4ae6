package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/blox/blox/internal/logging"
)

// config is all that can be set.
type config struct {
	css, ds, ecs, etcd string // host:port to serve on
	instances          int    // in the cluster "default" at the start
	data               string // etcd's folder; empty for one that is removed at the end
	logLevel           string // of both services
}

func parseConfig(args []string, help io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("blox-local", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.css, "css-bind", "127.0.0.1:3000", "`host:port` of cluster-state-service")
	flags.StringVar(&c.ds, "ds-bind", "127.0.0.1:2000", "`host:port` of daemon-scheduler")
	flags.StringVar(&c.ecs, "ecs-bind", "127.0.0.1:4566", "`host:port` of the simulated ECS and SQS")
	flags.StringVar(&c.etcd, "etcd-bind", "127.0.0.1:0", "`host:port` of etcd; port 0 for any that is free")
	flags.IntVar(&c.instances, "instances", 3, "`number` of container instances to begin with")
	flags.StringVar(&c.data, "data", "", "`folder` that etcd keeps; none for one that is removed at the end")
	flags.StringVar(&c.logLevel, "log-level", "warn", "`level` of the services' logs: debug, info, warn, error, crit or none")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(help, "blox-local runs all of Blox in one process, against a simulated ECS.\n\n")
			flags.SetOutput(help)
			flags.PrintDefaults()
		}
		return c, err
	}
	var problems []string
	if flags.NArg() > 0 {
		problems = append(problems, fmt.Sprintf("unknown argument %q", flags.Arg(0)))
	}
	for name, address := range map[string]string{"css": c.css, "ds": c.ds, "ecs": c.ecs, "etcd": c.etcd} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			problems = append(problems, fmt.Sprintf("--%s-bind %q: not host:port", name, address))
		}
	}
	if c.instances < 0 || c.instances > 5000 {
		problems = append(problems, fmt.Sprintf("--instances %d: not 0 to 5000", c.instances))
	}
	if _, err := logging.New("BLOX", "", c.logLevel); err != nil {
		problems = append(problems, fmt.Sprintf("--log-level %q: none of debug, info, warn, error, crit, none", c.logLevel))
	}
	if len(problems) > 0 {
		return c, errors.New(strings.Join(problems, "; "))
	}
	return c, nil
}
