package daemonscheduler

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/eventsink"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/tlsconfig"
	"github.com/blox/blox/internal/ui"
)

// Config holds every setting. Flags override environment variables, which override defaults.
type Config struct {
	Bind         string          // --bind, DS_BIND: listen address, host:port
	CSSEndpoints []string        // --css-endpoint (repeatable), DS_CSS_ENDPOINTS (comma-separated): replicas of one CSS
	Etcd         etcd.Config     // --etcd-endpoint (repeatable), DS_ETCD_ENDPOINTS (comma-separated), other --etcd-…
	TLS          tlsconfig.Files // --tls-cert, --tls-key, --client-ca; DS_TLS_CERT, DS_TLS_KEY, DS_CLIENT_CA
	Access       access.Options  // --access-file, --read-only-bind; DS_ACCESS_FILE, DS_READ_ONLY_BIND
	CSSTLS       tlsconfig.Files // --css-ca, --css-cert, --css-key; DS_CSS_CA, DS_CSS_CERT, DS_CSS_KEY
	CSSTokenFile string          // --css-token-file, DS_CSS_TOKEN_FILE: bearer token for CSS
	Healthcheck  bool            // --healthcheck: request /v1/ready of the service at Bind, and exit

	StartConfirmTimeout time.Duration // --start-confirm-timeout: how long an unanswered StartTask may have started
	LeaderElect         bool          // --leader-elect: elect one leader among the replicas; false: lead at once
	Lease               time.Duration // --leader-lease: time until another replica takes over from a failed leader
	DeploymentHistory   int           // --deployment-history: deployments kept of each environment
	Workers             int           // --workers: environments reconciled concurrently in each account and region
	// IdempotencyRetention (--idempotency-retention) is how long the response to an Idempotency-Key is repeated, at least.
	IdempotencyRetention time.Duration
	// AttributeInterval (--attribute-interval) is the time between two comparisons of attributes with ECS; 0: none.
	AttributeInterval time.Duration
	// Intervals between two reads of a task's container health.
	HealthInterval        time.Duration // --health-interval: of tasks at rest
	RolloutHealthInterval time.Duration // --rollout-health-interval: of a rollout's tasks
	// Greatest numbers of calls of ECS per second in one account and region, one for each class that ECS throttles.
	ChangeRate float64 // --change-rate: StartTask, StopTask, PutAttributes and DeleteAttributes; bursts of 90
	ReadRate   float64 // --read-rate: ListTasks, DescribeTasks and ListAttributes; bursts of 50
	LookupRate float64 // --lookup-rate: DescribeClusters, and DescribeTaskDefinition; bursts of 25
	AlarmRate  float64 // --alarm-rate: CloudWatch's DescribeAlarms; bursts of 4
	// AllowedRoles (--allowed-role, repeatable) are patterns of the ARNs of roles that environments may name; none: IAM
	// alone decides.
	AllowedRoles []string
	// AlarmInterval (--alarm-interval) is the time between two reads of the alarms of deployments in progress.
	AlarmInterval time.Duration

	ReadOnlyUI bool // --read-only-ui: the page has no actions
	// ExplorerURL (--explorer-url) is where browsers reach the page of cluster-state-service; empty: no links to it.
	ExplorerURL string

	// EventSinks are the receivers of events: --event-bus, --event-webhook, --event-webhook-secret-file.
	EventSinks eventsink.Options

	LogFile  string // DS_LOG_FILE: path of a rotated file, in addition to stderr
	LogLevel string // DS_LOG_LEVEL: debug, info, warn, error, crit or none
	// LogFormat, --log-format, DS_LOG_FORMAT: text or json.
	LogFormat string

	Getenv   func(string) string // reads the AWS SDK's variables and ECS_ENDPOINT
	Listener net.Listener        // if set, it is served instead of Bind
	ReadOnly net.Listener        // if set, it is served instead of Access.ReadOnlyBind
	// Metrics replaces the registry of metrics if it is not nil.
	Metrics httpserver.Registry
}

// ErrVersion means that --version was given.
var ErrVersion = errors.New("the version was requested")

// ParseConfig reads flags and environment variables. Its error names every invalid setting. It returns flag.ErrHelp
// after it has written the help that was requested, and ErrVersion for --version.
func ParseConfig(args []string, getenv func(string) string, help io.Writer) (Config, error) {
	c := Config{Getenv: getenv, LogFile: getenv("DS_LOG_FILE"), LogLevel: getenv("DS_LOG_LEVEL")}
	flags := flag.NewFlagSet("daemon-scheduler", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	version := c.define(flags)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			usage(flags, help)
		}
		return c, err
	}
	if *version {
		return c, ErrVersion
	}
	c.CSSEndpoints = orCommas(c.CSSEndpoints, getenv("DS_CSS_ENDPOINTS"))
	return c, c.check(flags.Args())
}

// define defines the flags. It returns the value of --version.
func (c *Config) define(flags *flag.FlagSet) (version *bool) {
	flags.StringVar(&c.Bind, "bind", cmp.Or(c.Getenv("DS_BIND"), "0.0.0.0:2000"), "listen address, `host:port`")
	flags.Func("css-endpoint",
		"address of cluster-state-service, `host:port` or https://host:port; repeat it for each replica",
		func(s string) error { c.CSSEndpoints = append(c.CSSEndpoints, s); return nil })
	c.CSSTLS.ClientFlags(flags, "css", "DS_CSS", c.Getenv)
	flags.StringVar(&c.CSSTokenFile, "css-token-file", c.Getenv("DS_CSS_TOKEN_FILE"),
		"`file` with the bearer token for cluster-state-service, of the role operator")
	c.TLS.ListenerFlags(flags, "DS", c.Getenv)
	c.Access.Flags(flags, "DS", c.Getenv)
	c.Etcd.Flags(flags, "DS", c.Getenv)
	flags.DurationVar(&c.StartConfirmTimeout, "start-confirm-timeout", 30*time.Second,
		"how long an unanswered StartTask counts as possibly started")
	flags.BoolVar(&c.LeaderElect, "leader-elect", true,
		"elect one leader among the replicas; with =false, a single replica leads at once after a restart")
	flags.DurationVar(&c.Lease, "leader-lease", 10*time.Second,
		"`time` until another replica takes over from a leader that fails; whole seconds, at least 2s")
	flags.IntVar(&c.DeploymentHistory, "deployment-history", 100, "`number` of deployments kept of each environment")
	flags.IntVar(&c.Workers, "workers", 16,
		"`number` of environments reconciled concurrently in each account and region, 1 to 100")
	flags.DurationVar(&c.IdempotencyRetention, "idempotency-retention", store.DefaultResponseRetention,
		"`time` in which a request that repeats an Idempotency-Key gets the first response, at least; etcd removes it soon "+
			"after")
	flags.DurationVar(&c.AttributeInterval, "attribute-interval", time.Minute,
		"`time` between two comparisons with ECS of the custom attributes that environments use; 0 for none")
	flags.DurationVar(&c.HealthInterval, "health-interval", time.Minute,
		"time between two reads of a task's container health, if its task definition has a health check")
	flags.DurationVar(&c.RolloutHealthInterval, "rollout-health-interval", 3*time.Second,
		"time between two reads of the container health of a rollout's tasks, and of tasks that are not HEALTHY")
	flags.Float64Var(&c.ChangeRate, "change-rate", 40,
		"maximum number of `calls` of StartTask, StopTask, PutAttributes and DeleteAttributes per second, in each "+
			"account and region; ECS allows 40")
	flags.Float64Var(&c.ReadRate, "read-rate", 10,
		"maximum number of `calls` of ListTasks, DescribeTasks and ListAttributes per second, in each account and "+
			"region; ECS allows 20")
	flags.Float64Var(&c.LookupRate, "lookup-rate", 10,
		"maximum number of `calls` of DescribeClusters, and of DescribeTaskDefinition, per second, in each account "+
			"and region; ECS allows 20 of each")
	flags.Func("allowed-role", "`pattern`, with * and ?, of the ARNs of IAM roles that environments may name; "+
		"repeatable; without it, IAM alone decides",
		func(s string) error { c.AllowedRoles = append(c.AllowedRoles, s); return nil })
	flags.DurationVar(&c.AlarmInterval, "alarm-interval", 15*time.Second,
		"time between two reads of the CloudWatch alarms of deployments in progress")
	flags.Float64Var(&c.AlarmRate, "alarm-rate", 4,
		"maximum number of `calls` of CloudWatch's DescribeAlarms per second, in each account and region; CloudWatch "+
			"allows 9")
	flags.BoolVar(&c.ReadOnlyUI, "read-only-ui", false, "serve the page at / without actions; the API stays as it is")
	flags.StringVar(&c.ExplorerURL, "explorer-url", "",
		"`URL` at which browsers reach the page of cluster-state-service; the page at / links to it")
	c.EventSinks.Flags(flags)
	flags.StringVar(&c.LogFormat, "log-format", cmp.Or(c.Getenv("DS_LOG_FORMAT"), logging.FormatText),
		logging.FormatUsage)
	flags.BoolVar(&c.Healthcheck, "healthcheck", false, httpserver.HealthcheckUsage)
	return flags.Bool("version", false, "print the version and exit")
}

// orCommas returns given or, if there is none, the elements of a comma-separated variable.
func orCommas(given []string, variable string) []string {
	if len(given) > 0 || variable == "" {
		return given
	}
	return strings.Split(variable, ",")
}

func usage(flags *flag.FlagSet, to io.Writer) {
	fmt.Fprint(to, "daemon-scheduler keeps one task of each environment on every container instance of its cluster.\n\n"+
		"AWS_REGION, AWS_PROFILE and the AWS SDK's other variables select the account and region of ECS.\n"+
		"DS_LOG_FILE sets a log file, DS_LOG_LEVEL the level: debug, info, warn, error, crit or none.\n"+
		"The service reloads files of certificates and keys when they change.\n"+
		"Variables set the TLS and etcd flags, too: DS_TLS_CERT, DS_TLS_KEY, DS_CLIENT_CA, DS_ETCD_CA and so on.\n\n")
	flags.SetOutput(to)
	flags.PrintDefaults()
}

// check returns one error that names every invalid setting.
func (c Config) check(rest []string) error {
	var problems []string
	problem := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	problem(len(rest) > 0, "unknown argument %q", strings.Join(rest, " "))
	_, _, err := net.SplitHostPort(c.Bind)
	problem(err != nil, "--bind %q: must be host:port", c.Bind)
	if err := c.TLS.ValidateListener(); err != nil {
		problem(true, "%s", err)
	}
	problem(!logging.IsFormat(c.LogFormat), "--log-format %q: must be text or json", c.LogFormat)
	if c.Healthcheck { // it needs no other setting
		return joined(problems)
	}
	problems = append(problems, c.Access.Validate(c.TLS)...)
	problem(len(c.CSSEndpoints) == 0, "--css-endpoint is missing: host:port of the cluster-state-service")
	if err := checkCSS(c.CSSEndpoints); err != nil {
		problem(true, "--css-endpoint: %s", err)
	}
	if err := c.CSSTLS.ValidateClient("css", slices.ContainsFunc(c.CSSEndpoints, isHTTPS)); err != nil {
		problem(true, "%s", err)
	}
	problems = append(problems, c.Etcd.Validate()...)
	problems = append(problems, c.EventSinks.Validate()...)
	problem(c.StartConfirmTimeout < 0, "--start-confirm-timeout %s: must be 0 or above", c.StartConfirmTimeout)
	problem(c.Lease < 2*time.Second, "--leader-lease %s: must be at least 2s", c.Lease)
	problem(c.Lease%time.Second != 0, "--leader-lease %s: must be whole seconds", c.Lease)
	problem(c.HealthInterval <= 0, "--health-interval %s: must be above 0", c.HealthInterval)
	problem(c.RolloutHealthInterval <= 0, "--rollout-health-interval %s: must be above 0", c.RolloutHealthInterval)
	problem(c.AlarmInterval <= 0, "--alarm-interval %s: must be above 0", c.AlarmInterval)
	problem(!ui.IsPageURL(c.ExplorerURL),
		"--explorer-url %q: must be http://… or https://… without a user, query or fragment", redact.URL(c.ExplorerURL))
	problem(c.DeploymentHistory < 1, "--deployment-history %d: must be at least 1", c.DeploymentHistory)
	problem(c.Workers < 1 || c.Workers > 100, "--workers %d: must be 1 to 100", c.Workers)
	problem(c.IdempotencyRetention < time.Second, "--idempotency-retention %s: must be at least 1s",
		c.IdempotencyRetention)
	problem(c.AttributeInterval < 0, "--attribute-interval %s: must be 0 or above", c.AttributeInterval)
	for _, limit := range []struct {
		flag string
		rate float64
	}{{"change", c.ChangeRate}, {"read", c.ReadRate}, {"lookup", c.LookupRate}, {"alarm", c.AlarmRate}} {
		problem(!(limit.rate > 0), "--%s-rate %v: must be above 0", limit.flag, limit.rate)
	}
	return joined(problems)
}

func joined(problems []string) error {
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

func isHTTPS(endpoint string) bool { return strings.HasPrefix(endpoint, "https://") }

// checkCSS returns what the informer would reject about endpoints.
func checkCSS(endpoints []string) error {
	if len(endpoints) == 0 {
		return nil // reported as a missing flag
	}
	_, err := informer.New(informer.Config{Endpoints: endpoints})
	return err
}
