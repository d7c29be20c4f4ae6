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
	"github.com/blox/blox/cluster-state-service/source"
	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/ratelimit"
	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/tlsconfig"
	"github.com/blox/blox/internal/ui"
)

// Bounds of --stopped-task-retention. ECS itself keeps stopped tasks for about an hour.
const (
	minRetention = time.Hour
	maxRetention = 30 * 24 * time.Hour
)

// Config holds every setting. Flags override environment variables, which override defaults.
type Config struct {
	Bind string          // --bind, CSS_BIND: listen address, host:port
	TLS  tlsconfig.Files // --tls-cert, --tls-key, --client-ca; CSS_TLS_CERT, CSS_TLS_KEY, CSS_CLIENT_CA
	// Access, --access-file, --read-only-bind, CSS_ACCESS_FILE, CSS_READ_ONLY_BIND: roles of clients.
	Access access.Options
	// Healthcheck, --healthcheck: query the readiness of the service at Bind instead of serving.
	Healthcheck bool
	// Etcd, --etcd-…, CSS_ETCD_…: endpoints, TLS and credentials of etcd. CSS_ETCD_ENDPOINTS is comma-separated.
	Etcd etcd.Config
	// Queue, --queue, CSS_QUEUE: an SQS queue, name, URL or ARN, or a Kinesis stream, kinesis://name or ARN.
	Queue string
	// Sources, --source, and SourcesFile, --sources-file, CSS_SOURCES_FILE: the accounts and regions to serve. Without
	// them it is that of the AWS SDK's settings, with Queue.
	Sources           []source.Spec
	SourcesFile       string
	ReconcileInterval time.Duration // --reconcile-interval: time between full reconciliations with ECS
	// StoppedTaskRetention, --stopped-task-retention, CSS_STOPPED_TASK_RETENTION: how long stopped tasks are kept.
	StoppedTaskRetention time.Duration
	// Greatest numbers of calls of ECS per second.
	ReadRate      float64       // --read-rate: List and Describe of tasks and container instances; bursts of 80
	LookupRate    float64       // --lookup-rate: ListClusters and DescribeClusters; bursts of 40
	ReconcileRate float64       // --reconcile-rate: the part of ReadRate that periodic reconciliations use
	EtcdHistory   time.Duration // --etcd-history: age of the oldest etcd revision to keep; 0 disables compaction
	Pollers       int           // --pollers: number of concurrent receives from an SQS queue
	EtcdBatchSize int           // --etcd-batch-size: maximum number of records in one etcd transaction

	LogFile  string // CSS_LOG_FILE: path of a rotated log file, written in addition to stderr
	LogLevel string // CSS_LOG_LEVEL: debug, info, warn, error, crit or none
	// SchedulerURL, --scheduler-url: where browsers reach the page of daemon-scheduler; empty: no link to it.
	SchedulerURL string

	// LogFormat, --log-format, CSS_LOG_FORMAT: text or json.
	LogFormat string

	// Getenv reads the AWS SDK's variables and ECS_ENDPOINT.
	Getenv func(string) string
	// Listener replaces the listener on Bind if it is not nil.
	Listener net.Listener
	// ReadOnly replaces the listener on Access.ReadOnlyBind if it is not nil.
	ReadOnly net.Listener
	// Metrics replaces the registry of metrics if it is not nil.
	Metrics httpserver.Registry
}

// ErrVersion reports that the arguments contain --version.
var ErrVersion = errors.New("version requested")

// ParseConfig reads flags and environment variables. An error reports every invalid setting at once. For --help,
// ParseConfig writes the usage to help and returns flag.ErrHelp. For --version it returns ErrVersion.
func ParseConfig(args []string, getenv func(string) string, help io.Writer) (Config, error) {
	c := Config{Getenv: getenv, LogFile: getenv("CSS_LOG_FILE"), LogLevel: getenv("CSS_LOG_LEVEL")}
	flags := flag.NewFlagSet("cluster-state-service", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.Bind, "bind", cmp.Or(getenv("CSS_BIND"), "0.0.0.0:3000"), "listen address, `host:port`")
	c.TLS.ListenerFlags(flags, "CSS", getenv)
	c.Access.Flags(flags, "CSS", getenv)
	c.Etcd.Flags(flags, "CSS", getenv)
	flags.StringVar(&c.Queue, "queue", getenv("CSS_QUEUE"),
		"source of ECS events: an SQS queue, `name`, URL or ARN, or a Kinesis stream, kinesis://name or ARN")
	flags.Func("source", "an account and region to serve, `KEY=VALUE,…`; repeatable, in place of --queue. "+
		"The keys are region, role (ARN of an IAM role to assume), external-id and queue (as --queue). "+
		"Without queue, its events arrive in the queue of another source", c.addSource)
	flags.StringVar(&c.SourcesFile, "sources-file", getenv("CSS_SOURCES_FILE"),
		"`path` of a YAML or JSON file with the sources, {sources: [{region: …}]}; reloaded when it changes")
	flags.DurationVar(&c.ReconcileInterval, "reconcile-interval", 20*time.Minute,
		"`time` between full reconciliations with ECS")
	flags.DurationVar(&c.StoppedTaskRetention, "stopped-task-retention", minRetention,
		"`time` for which stopped tasks are kept, 1h to 720h (30 days); longer while ECS knows them")
	flags.Float64Var(&c.ReadRate, "read-rate", ratelimit.ResourceReads.Rate,
		"maximum number of `calls` per second that list and describe tasks and container instances; ECS allows an "+
			"account 20")
	flags.Float64Var(&c.LookupRate, "lookup-rate", ratelimit.ClusterReads.Rate,
		"maximum number of `calls` of ListClusters and DescribeClusters per second; ECS allows an account 20")
	flags.Float64Var(&c.ReconcileRate, "reconcile-rate", 2,
		"maximum number of `calls` per second of periodic reconciliations, within --read-rate")
	flags.DurationVar(&c.EtcdHistory, "etcd-history", 5*time.Minute,
		"`age` of the oldest etcd revision to keep; 0 leaves compaction to etcd")
	flags.IntVar(&c.Pollers, "pollers", 16, "`number` of concurrent receives from an SQS queue, 1 to 100")
	flags.IntVar(&c.EtcdBatchSize, "etcd-batch-size", 100,
		"maximum number of `records` in one etcd transaction, 1 to 100")
	flags.StringVar(&c.SchedulerURL, "scheduler-url", "",
		"`URL` at which browsers reach the page of daemon-scheduler; the page at / links to it")
	flags.StringVar(&c.LogFormat, "log-format", cmp.Or(getenv("CSS_LOG_FORMAT"), logging.FormatText),
		logging.FormatUsage)
	flags.BoolVar(&c.Healthcheck, "healthcheck", false, httpserver.HealthcheckUsage)
	version := flags.Bool("version", false, "print the version and exit")
	if given := getenv("CSS_STOPPED_TASK_RETENTION"); given != "" {
		if err := flags.Set("stopped-task-retention", given); err != nil {
			return c, fmt.Errorf("CSS_STOPPED_TASK_RETENTION %.100q: must be a duration, such as 24h", given)
		}
	}
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

func (c *Config) addSource(given string) error {
	spec, err := source.Parse(given)
	c.Sources = append(c.Sources, spec)
	return err
}

func usage(flags *flag.FlagSet, to io.Writer) {
	fmt.Fprint(to, "cluster-state-service maintains a copy of ECS container instances and tasks in etcd and serves it.\n"+
		"\n"+
		"AWS_REGION, AWS_PROFILE and the AWS SDK's other variables select the account and region of ECS and the queue.\n"+
		"CSS_LOG_FILE sets a log file, CSS_LOG_LEVEL the level: debug, info, warn, error, crit or none.\n"+
		"The service reloads files of certificates and keys when they change.\n"+
		"Variables set the TLS and etcd flags, too: CSS_TLS_CERT, CSS_TLS_KEY, CSS_CLIENT_CA, CSS_ETCD_CA and so on.\n"+
		"CSS_STOPPED_TASK_RETENTION sets --stopped-task-retention.\n\n")
	flags.SetOutput(to)
	flags.PrintDefaults()
}

// check reports every invalid setting, on one line.
func (c Config) check(rest []string) error {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if len(rest) > 0 {
		problem("unknown argument %q", rest[0])
	}
	if _, _, err := net.SplitHostPort(c.Bind); err != nil {
		problem("--bind %q: must be host:port", c.Bind)
	}
	if err := c.TLS.ValidateListener(); err != nil {
		problem("%s", err)
	}
	if !logging.IsFormat(c.LogFormat) {
		problem("--log-format %q: must be text or json", c.LogFormat)
	}
	if c.Healthcheck { // a health check needs no other setting
		return joinProblems(problems)
	}
	problems = append(problems, c.Access.Validate(c.TLS)...)
	problems = append(problems, c.Etcd.Validate()...)
	if err := c.checkSources(); err != nil {
		problem("%s", err)
	}
	if c.ReconcileInterval <= 0 {
		problem("--reconcile-interval %s: must be above 0", c.ReconcileInterval)
	}
	if c.StoppedTaskRetention < minRetention || c.StoppedTaskRetention > maxRetention {
		problem("--stopped-task-retention %s: must be 1h to 720h", c.StoppedTaskRetention)
	}
	for _, limit := range []struct {
		flag string
		rate float64
	}{{"read", c.ReadRate}, {"lookup", c.LookupRate}, {"reconcile", c.ReconcileRate}} {
		if !(limit.rate > 0) { // NaN, too
			problem("--%s-rate %v: must be above 0", limit.flag, limit.rate)
		}
	}
	if !ui.IsPageURL(c.SchedulerURL) {
		problem("--scheduler-url %q: must be http://… or https://… without a user, query or fragment",
			redact.URL(c.SchedulerURL))
	}
	if c.EtcdHistory < 0 {
		problem("--etcd-history %s: must be 0 or above", c.EtcdHistory)
	}
	if c.Pollers < 1 || c.Pollers > 100 {
		problem("--pollers %d: must be 1 to 100", c.Pollers)
	}
	if c.EtcdBatchSize < 1 || c.EtcdBatchSize > 100 {
		problem("--etcd-batch-size %d: must be 1 to 100", c.EtcdBatchSize)
	}
	return joinProblems(problems)
}

// checkSources checks the settings of which there may be only one.
func (c Config) checkSources() error {
	switch {
	case len(c.Sources) > 0 && c.SourcesFile != "":
		return errors.New("--source and --sources-file are mutually exclusive; list every source in the file")
	case c.Queue != "" && (len(c.Sources) > 0 || c.SourcesFile != ""):
		return errors.New("--queue (CSS_QUEUE) excludes --source and --sources-file; give the queue to a source, " +
			"as in --source region=eu-west-1,queue=blox_queue")
	case len(c.Sources) > 0:
		if err := source.Validate(c.Sources); err != nil {
			return fmt.Errorf("--source: %w", err)
		}
		return nil
	case c.SourcesFile != "":
		return nil // it is read when the service starts
	case c.Queue == "":
		return errors.New("--queue is missing: set the SQS queue or Kinesis stream that receives ECS events")
	}
	if _, err := ingest.ParseAddress(c.Queue); err != nil {
		return fmt.Errorf("--queue: %w", err)
	}
	return nil
}

func joinProblems(problems []string) error {
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}
