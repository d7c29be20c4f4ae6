package clusterstate

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/blox/blox/cluster-state-service/ingest"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/tlsconfig"
)

// Config is all that can be set. A flag wins over the environment, and that over the default.
type Config struct {
	Bind              string          // --bind, CSS_BIND: host:port to serve on
	TLS               tlsconfig.Files // --tls-cert, --tls-key, --client-ca; CSS_TLS_CERT, CSS_TLS_KEY, CSS_CLIENT_CA
	Check             bool            // --check: ask the service at Bind whether it is ready, rather than be it
	Etcd              etcd.Config     // --etcd-endpoint and the other --etcd-…; CSS_ETCD_ENDPOINTS, with commas, and the other CSS_ETCD_…
	Queue             string          // --queue, CSS_QUEUE: a queue's name, or sqs://name, or kinesis://name of a stream
	ReconcileInterval time.Duration   // --reconcile-interval: between two comparisons with ECS, as in 20m
	History           time.Duration   // --history: how long etcd's history is kept, as in 5m; 0 leaves it to etcd
	Pollers           int             // --pollers: how many receive from an SQS queue at a time
	Batch             int             // --batch: the most records in one transaction of etcd

	LogFile  string // CSS_LOG_FILE: a path; rotated. Beside it, the log always goes to stderr
	LogLevel string // CSS_LOG_LEVEL: debug, info, warn, error, crit or none

	// Getenv serves the AWS SDK's variables and ECS_ENDPOINT.
	Getenv func(string) string
	// Listener, when it is set, is served on in place of Bind.
	Listener net.Listener
}

// ErrVersion means that only the version was asked for.
var ErrVersion = errors.New("the version was asked for")

// ParseConfig reads flags and environment. An error names every setting that is missing or wrong at once; it is
// flag.ErrHelp when only help was asked for, which is then written to help, or ErrVersion.
func ParseConfig(args []string, getenv func(string) string, help io.Writer) (Config, error) {
	c := Config{Getenv: getenv, LogFile: getenv("CSS_LOG_FILE"), LogLevel: getenv("CSS_LOG_LEVEL")}
	flags := flag.NewFlagSet("cluster-state-service", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.Bind, "bind", cmp.Or(getenv("CSS_BIND"), "0.0.0.0:3000"), "`host:port` to serve on")
	c.TLS.ListenerFlags(flags, "CSS", getenv)
	c.Etcd.Flags(flags, "CSS", getenv)
	flags.StringVar(&c.Queue, "queue", getenv("CSS_QUEUE"), "where ECS's events arrive: an SQS queue, `name` or sqs://name, or a Kinesis stream, kinesis://name")
	flags.DurationVar(&c.ReconcileInterval, "reconcile-interval", 20*time.Minute, "`time` between two comparisons with ECS")
	flags.DurationVar(&c.History, "history", 5*time.Minute, "`time` that etcd's history is kept for; 0 leaves it to etcd")
	flags.IntVar(&c.Pollers, "pollers", 16, "`number` of receives from an SQS queue at a time")
	flags.IntVar(&c.Batch, "batch", 100, "the most `records` in one transaction of etcd, 1 to 100")
	flags.BoolVar(&c.Check, "check", false, httpserver.CheckUsage)
	version := flags.Bool("version", false, "say the version and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(flags, help)
		}
		return c, err
	}
	if *version {
		return c, ErrVersion
	}
	return c, c.check(flags.Args())
}

func usage(flags *flag.FlagSet, to io.Writer) {
	fmt.Fprint(to, "cluster-state-service keeps a copy of ECS's container instances and tasks in etcd and serves it.\n\n"+
		"AWS_REGION, AWS_PROFILE and the AWS SDK's other variables say where ECS and the queue are;\n"+
		"CSS_LOG_FILE and CSS_LOG_LEVEL (debug, info, warn, error, crit, none) where the log goes.\n"+
		"Files of certificates and keys are read again when they have changed. The variables of the flags for TLS and etcd are\n"+
		"CSS_TLS_CERT, CSS_TLS_KEY, CSS_CLIENT_CA, CSS_ETCD_CA and so on.\n\n")
	flags.SetOutput(to)
	flags.PrintDefaults()
}

// check names every problem, on one line.
func (c Config) check(rest []string) error {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if len(rest) > 0 {
		problem("unknown argument %q", rest[0])
	}
	if _, _, err := net.SplitHostPort(c.Bind); err != nil {
		problem("--bind %q: not host:port", c.Bind)
	}
	if wrong := c.TLS.ListenerProblem(); wrong != "" {
		problem("%s", wrong)
	}
	if c.Check { // which needs no more
		return joined(problems)
	}
	problems = append(problems, c.Etcd.Problems()...)
	if c.Queue == "" {
		problem("--queue is missing: the SQS queue or Kinesis stream that ECS's events arrive in")
	} else if _, _, err := ingest.ParseQueue(c.Queue); err != nil {
		problem("--queue: %s", err)
	}
	if c.ReconcileInterval <= 0 {
		problem("--reconcile-interval %s: not above 0", c.ReconcileInterval)
	}
	if c.History < 0 {
		problem("--history %s: below 0", c.History)
	}
	if c.Pollers < 1 || c.Pollers > 100 {
		problem("--pollers %d: not 1 to 100", c.Pollers)
	}
	if c.Batch < 1 || c.Batch > 100 {
		problem("--batch %d: not 1 to 100", c.Batch)
	}
	return joined(problems)
}

func joined(problems []string) error {
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}
