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
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/tlsconfig"
)

// Config is all that can be set. A flag wins over the environment, and that over the default.
type Config struct {
	Bind         string          // --bind, DS_BIND: host:port to serve on
	CSSEndpoints []string        // --css-endpoint, once for each replica of one CSS; DS_CSS_ENDPOINTS, with commas
	Etcd         etcd.Config     // --etcd-endpoint and the other --etcd-…; DS_ETCD_ENDPOINTS, with commas, and the other DS_ETCD_…
	TLS          tlsconfig.Files // --tls-cert, --tls-key, --client-ca; DS_TLS_CERT, DS_TLS_KEY, DS_CLIENT_CA
	CSSTLS       tlsconfig.Files // --css-ca, --css-cert, --css-key; DS_CSS_CA, DS_CSS_CERT, DS_CSS_KEY
	Healthcheck  bool            // --healthcheck: ask the service at Bind whether it is ready, rather than be it

	StartConfirmTimeout time.Duration // --start-confirm-timeout: how long an unanswered StartTask counts as possibly started
	LeaderElect         bool          // --leader-elect: wait for the election; without it, act at once, and whoever led does no more
	Lease               time.Duration // --leader-lease: after which another replica takes over from one that died
	DeploymentHistory   int           // --deployment-history: deployments kept of each environment
	Workers             int           // --workers: environments looked at at a time
	// Calls of ECS a second, by the classes that ECS throttles.
	ChangeRate float64 // --change-rate: of StartTask, StopTask, PutAttributes and DeleteAttributes; 50 may come at once
	ReadRate   float64 // --read-rate: of ListTasks and DescribeTasks; 50 may come at once
	LookupRate float64 // --lookup-rate: of DescribeClusters, and of DescribeTaskDefinition; 25 may come at once

	LogFile  string // DS_LOG_FILE: a path; rotated. Beside it, the log always goes to stderr
	LogLevel string // DS_LOG_LEVEL: debug, info, warn, error, crit or none

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
	c := Config{Getenv: getenv, LogFile: getenv("DS_LOG_FILE"), LogLevel: getenv("DS_LOG_LEVEL")}
	flags := flag.NewFlagSet("daemon-scheduler", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.Bind, "bind", cmp.Or(getenv("DS_BIND"), "0.0.0.0:2000"), "`host:port` to serve on")
	list := func(to *[]string) func(string) error {
		return func(s string) error { *to = append(*to, s); return nil }
	}
	flags.Func("css-endpoint", "`host:port` of the cluster-state-service, or https://host:port; once for each replica", list(&c.CSSEndpoints))
	c.CSSTLS.ClientFlags(flags, "css", "DS_CSS", getenv)
	c.TLS.ListenerFlags(flags, "DS", getenv)
	c.Etcd.Flags(flags, "DS", getenv)
	flags.DurationVar(&c.StartConfirmTimeout, "start-confirm-timeout", 30*time.Second, "how long an unanswered StartTask counts as possibly started")
	flags.BoolVar(&c.LeaderElect, "leader-elect", true, "wait to be elected before acting; =false, for a single replica alone, acts at once after a restart")
	flags.DurationVar(&c.Lease, "leader-lease", 10*time.Second, "`time` after which another replica takes over from one that died")
	flags.IntVar(&c.DeploymentHistory, "deployment-history", 100, "`number` of deployments kept of each environment")
	flags.IntVar(&c.Workers, "workers", 16, "`number` of environments looked at at a time")
	flags.Float64Var(&c.ChangeRate, "change-rate", 20, "`calls` of StartTask, StopTask, PutAttributes and DeleteAttributes a second; ECS grants an account 40")
	flags.Float64Var(&c.ReadRate, "read-rate", 10, "`calls` of ListTasks and DescribeTasks a second; ECS grants an account 20")
	flags.Float64Var(&c.LookupRate, "lookup-rate", 10, "`calls` of DescribeClusters, and of DescribeTaskDefinition, a second; ECS grants an account 20 of each")
	flags.BoolVar(&c.Healthcheck, "healthcheck", false, httpserver.HealthcheckUsage)
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
	c.CSSEndpoints = orCommas(c.CSSEndpoints, getenv("DS_CSS_ENDPOINTS"))
	return c, c.check(flags.Args())
}

func orCommas(given []string, variable string) []string {
	if len(given) > 0 || variable == "" {
		return given
	}
	return strings.Split(variable, ",")
}

func usage(flags *flag.FlagSet, to io.Writer) {
	fmt.Fprint(to, "daemon-scheduler keeps one task of each environment on every container instance of its cluster.\n\n"+
		"AWS_REGION, AWS_PROFILE and the AWS SDK's other variables say where ECS is;\n"+
		"DS_LOG_FILE and DS_LOG_LEVEL (debug, info, warn, error, crit, none) where the log goes.\n"+
		"Files of certificates and keys are read again when they have changed. The variables of the flags for TLS and etcd are\n"+
		"DS_TLS_CERT, DS_TLS_KEY, DS_CLIENT_CA, DS_CSS_CA, DS_ETCD_CA and so on.\n\n")
	flags.SetOutput(to)
	flags.PrintDefaults()
}

// check names every problem, on one line.
func (c Config) check(rest []string) error {
	var problems []string
	problem := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	problem(len(rest) > 0, "unknown argument %q", strings.Join(rest, " "))
	_, _, err := net.SplitHostPort(c.Bind)
	problem(err != nil, "--bind %q: not host:port", c.Bind)
	if err := c.TLS.ValidateListener(); err != nil {
		problem(true, "%s", err)
	}
	if c.Healthcheck { // which needs no more
		return joined(problems)
	}
	problem(len(c.CSSEndpoints) == 0, "--css-endpoint is missing: host:port of the cluster-state-service")
	if err := checkCSS(c.CSSEndpoints); err != nil {
		problem(true, "--css-endpoint: %s", err)
	}
	if err := c.CSSTLS.ValidateClient("css", slices.ContainsFunc(c.CSSEndpoints, isHTTPS)); err != nil {
		problem(true, "%s", err)
	}
	problems = append(problems, c.Etcd.Validate()...)
	problem(c.StartConfirmTimeout < 0, "--start-confirm-timeout %s: below 0", c.StartConfirmTimeout)
	problem(c.Lease < 2*time.Second, "--leader-lease %s: below 2s", c.Lease)
	problem(c.Lease%time.Second != 0, "--leader-lease %s: not whole seconds", c.Lease)
	problem(c.DeploymentHistory < 1, "--deployment-history %d: below 1", c.DeploymentHistory)
	problem(c.Workers < 1 || c.Workers > 100, "--workers %d: not 1 to 100", c.Workers)
	for _, limit := range []struct {
		flag string
		rate float64
	}{{"change", c.ChangeRate}, {"read", c.ReadRate}, {"lookup", c.LookupRate}} {
		problem(!(limit.rate > 0), "--%s-rate %v: not above 0", limit.flag, limit.rate)
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
