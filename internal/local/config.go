package local

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/blox/blox/internal/logging"
)

const maxInstances = 5000

// config holds every setting. An address is host:port.
type config struct {
	css       string // --css-bind: address of cluster-state-service
	ds        string // --ds-bind: address of daemon-scheduler
	ecs       string // --ecs-bind: address of the simulated ECS and SQS
	etcd      string // --etcd-bind: address of etcd; port 0 selects a free one
	instances int    // --instances: first container instances of the cluster "default"
	data      string // --data: directory of etcd; "" for a temporary one, removed at the end
	logLevel  string // --log-level: of both services
}

func parseConfig(args []string, help io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("blox-local", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.css, "css-bind", "127.0.0.1:3000", "listen address of cluster-state-service, `host:port`")
	flags.StringVar(&c.ds, "ds-bind", "127.0.0.1:2000", "listen address of daemon-scheduler, `host:port`")
	flags.StringVar(&c.ecs, "ecs-bind", "127.0.0.1:4566", "listen address of the simulated ECS and SQS, `host:port`")
	flags.StringVar(&c.etcd, "etcd-bind", "127.0.0.1:0", "listen address of etcd, `host:port`; port 0 selects a free one")
	flags.IntVar(&c.instances, "instances", 3, "`number` of container instances at the start, 0 to 5000")
	flags.StringVar(&c.data, "data", "", "`directory` of etcd; by default a temporary one, removed at the end")
	flags.StringVar(&c.logLevel, "log-level", "warn", "`level` of the logs: debug, info, warn, error, crit or none")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(help, "blox-local runs all of Blox in one process with a simulated ECS.\n\n")
			flags.SetOutput(help)
			flags.PrintDefaults()
		}
		return c, err
	}
	var problems []string
	if flags.NArg() > 0 {
		problems = append(problems, fmt.Sprintf("unexpected argument %q", flags.Arg(0)))
	}
	for _, bind := range []struct{ flag, address string }{
		{"css", c.css}, {"ds", c.ds}, {"ecs", c.ecs}, {"etcd", c.etcd},
	} {
		if _, _, err := net.SplitHostPort(bind.address); err != nil {
			problems = append(problems, fmt.Sprintf("--%s-bind %q: must be host:port", bind.flag, bind.address))
		}
	}
	if c.instances < 0 || c.instances > maxInstances {
		problems = append(problems, fmt.Sprintf("--instances %d: must be 0 to %d", c.instances, maxInstances))
	}
	if !logging.IsLevel(c.logLevel) {
		problems = append(problems, fmt.Sprintf(
			"--log-level %q: must be debug, info, warn, error, crit or none", c.logLevel))
	}
	if len(problems) > 0 {
		return c, errors.New(strings.Join(problems, "; "))
	}
	return c, nil
}
