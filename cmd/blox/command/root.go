// Package command implements the commands of blox, one file for each.
package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/version"
)

// Program is the environment of a command: its streams and variables.
type Program struct {
	In     io.Reader
	Out    io.Writer // results
	Err    io.Writer // progress and errors
	Getenv func(string) string
}

// app holds what all commands share: the program and the global flags.
type app struct {
	Program
	cfg     connect.Config
	context string // name of a context; empty for the current one
	format  string // of output, as given
	quiet   bool
	// tokenPath is the file that has the token, which only its owner should be able to read; empty for none.
	tokenPath string
	output    show.Output
	changes   *show.Changes // of a list that is watched
}

const rootHelp = `blox is the command line of Blox. It manages environments and deployments in daemon-scheduler and
queries cluster-state-service for the instances and tasks of your ECS clusters.

An environment selects container instances of a cluster and the task definition to run on each of them. A deployment
rolls the environment out: Blox starts one task on every selected instance and replaces it when it stops.

  blox environments create web-agent --cluster default --task-definition agent:1
  blox deploy web-agent --watch
  blox environments instances web-agent

By default, blox connects to the services on this machine, as "make local" runs them. Flags select others:

  blox --endpoint http://scheduler:2000 --css-endpoint http://state:3000 clusters list
  blox --sigv4 --endpoint https://ID.execute-api.REGION.amazonaws.com clusters list       # Blox on AWS

These environment variables set the defaults of flags: BLOX_ENDPOINT, BLOX_CSS_ENDPOINT, BLOX_SIM_ENDPOINT, BLOX_CA,
BLOX_CERT, BLOX_KEY, BLOX_TOKEN_FILE, BLOX_SIGV4, BLOX_CONTEXT. BLOX_TOKEN is a bearer token, and BLOX_CONFIG names the
file of "blox context". Output is coloured on a terminal only; NO_COLOR turns colours off.

Scripts can rely on -o json, -o yaml and the exit codes:

    0  success; a watched deployment completed; Ctrl-C ended a stream
    1  error: the message names the cause and the next step;
       status: a service is not ready; probe --once: a step failed; diff: there is a difference
    2  invalid command line; diff: error
    3  a watched deployment failed; apply --deploy: an earlier deployment of the newest revision failed
    4  a watched deployment was stopped; apply --deploy: an earlier deployment was stopped
    5  a watched deployment failed or was stopped, and was rolled back;
       apply --deploy: an earlier deployment was rolled back
    6  a watched deployment was still in progress after --watch-for
  130  interrupted`

// Groups of commands in the root command's help.
const (
	groupDeploy  = "deploy"
	groupInspect = "see"
	groupOperate = "more"
)

// groupedCommand is a command and its group.
type groupedCommand struct {
	group string
	new   func(*app) *cobra.Command
}

// newCommands lists the commands. Add new ones here.
func newCommands() []groupedCommand {
	return []groupedCommand{
		{groupDeploy, newDeployCommand},
		{groupDeploy, newRollbackCommand},
		{groupDeploy, newRestartCommand},
		{groupDeploy, newApplyCommand},
		{groupDeploy, newDiffCommand},
		{groupDeploy, newExportCommand},
		{groupDeploy, newValidateCommand},
		{groupDeploy, newEnvironmentsCommand},
		{groupDeploy, newDeploymentsCommand},
		{groupDeploy, newMigrateCommand},
		{groupInspect, newClustersCommand},
		{groupInspect, newInstancesCommand},
		{groupInspect, newTasksCommand},
		{groupInspect, newStreamCommand},
		{groupInspect, newEventsCommand},
		{groupOperate, newStatusCommand},
		{groupOperate, newVersionCommand},
		{groupOperate, newContextCommand},
		{groupOperate, newTokenCommand},
		{groupOperate, newProbeCommand},
		{groupOperate, newSimCommand},
		{groupOperate, newManCommand},
	}
}

// New returns the root command. It reads flags and variables and does no I/O before a command runs.
func New(p Program) *cobra.Command {
	a := &app{Program: p}
	root := &cobra.Command{
		Use:           "blox",
		Short:         "Run a daemon on every container instance of your ECS clusters",
		Long:          rootHelp,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cmd, explainFlag(cmd, err)} })
	root.SetVersionTemplate("blox {{.Version}}\n")
	a.globalFlags(root)
	root.AddGroup(&cobra.Group{ID: groupDeploy, Title: "Deploy daemons:"},
		&cobra.Group{ID: groupInspect, Title: "Inspect clusters:"},
		&cobra.Group{ID: groupOperate, Title: "Operate Blox:"})
	for _, one := range newCommands() {
		cmd := one.new(a)
		cmd.GroupID = one.group
		root.AddCommand(cmd)
	}
	root.SetHelpCommandGroupID(groupOperate)
	root.SetCompletionCommandGroupID(groupOperate)
	wrapHelp(root, p)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.validateFlags(cmd) }
	root.InitDefaultHelpCmd()
	rejectUnknownCommands(root)
	return root
}

// helpWidth is the greatest width of help, in columns.
const helpWidth = 120

// wrapHelp fits help into the terminal, and shows no usage line for groups of commands.
func wrapHelp(root *cobra.Command, p Program) {
	width := helpWidth
	if terminal := show.StyleFor(p.Out, p.Getenv).Width; terminal > 0 {
		width = min(width, terminal)
	}
	root.SetUsageTemplate(strings.NewReplacer(
		"{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}",
		"Flags.FlagUsages ", fmt.Sprintf("Flags.FlagUsagesWrapped %d ", width),
	).Replace(root.UsageTemplate()))
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if width < helpWidth {
			cmd.Long = show.Wrap(cmd.Long, width)
		}
		help(cmd, args)
	})
}

func (a *app) globalFlags(root *cobra.Command) {
	flags, env := root.PersistentFlags(), a.Getenv
	signed, _ := strconv.ParseBool(env("BLOX_SIGV4"))
	flags.StringVar(&a.cfg.Endpoint, "endpoint", cmp.Or(env("BLOX_ENDPOINT"), connect.DefaultEndpoint),
		"`URL` of daemon-scheduler (BLOX_ENDPOINT)")
	flags.StringVar(&a.cfg.CSSEndpoint, "css-endpoint", env("BLOX_CSS_ENDPOINT"),
		"`URL` of cluster-state-service (BLOX_CSS_ENDPOINT; default: "+connect.DefaultCSSEndpoint+", with --sigv4 that of "+
			"--endpoint)")
	flags.StringVar(&a.cfg.TLS.CA, "ca", env("BLOX_CA"),
		"PEM `file` with the CAs that servers' certificates must chain to (BLOX_CA; default: the machine's)")
	flags.StringVar(&a.cfg.TLS.Cert, "cert", env("BLOX_CERT"), "PEM `file` with the client certificate (BLOX_CERT)")
	flags.StringVar(&a.cfg.TLS.Key, "key", env("BLOX_KEY"), "PEM `file` with the key of --cert (BLOX_KEY)")
	flags.StringVar(&a.cfg.TokenFile, "token-file", env("BLOX_TOKEN_FILE"),
		"`file` with the bearer token for both services (BLOX_TOKEN_FILE; or the token in BLOX_TOKEN)")
	flags.BoolVar(&a.cfg.SigV4, "sigv4", signed,
		"sign requests with AWS credentials, as Blox on AWS requires (BLOX_SIGV4)")
	flags.StringVar(&a.cfg.Region, "region", "", "AWS `region` of the signature (default: that of the AWS configuration)")
	flags.DurationVar(&a.cfg.Timeout, "timeout", 30*time.Second, "timeout of a request, a `duration`")
	flags.StringVarP(&a.format, "output", "o", string(show.Table), "output `format`: table, wide (every column, whole "+
		"ARNs), name (the first column), json, yaml or jsonpath=PATH")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print names only, as -o name does")
	flags.BoolVar(&a.output.NoHeaders, "no-headers", false, "print tables without the headings")
	flags.StringVar(&a.output.SortBy, "sort-by", "", "sort a table by this `column`, such as FAILED")
	flags.BoolVar(&a.output.UTC, "utc", false, "print times in UTC instead of this machine's time zone")
	flags.StringVar(&a.context, "context", env("BLOX_CONTEXT"),
		"`name` of the context, see \"blox context\" (BLOX_CONTEXT; default: the current one)")
	_ = root.RegisterFlagCompletionFunc("context", a.contextNames)
	_ = root.RegisterFlagCompletionFunc("output", fixed(show.Formats...))
	a.cfg.SimEndpoint = cmp.Or(env("BLOX_SIM_ENDPOINT"), connect.DefaultSimEndpoint)
}

// validateFlags validates the global flags.
func (a *app) validateFlags(cmd *cobra.Command) error {
	if err := a.output.ParseFormat(a.format); err != nil {
		return &usageError{cmd, fmt.Errorf("--output %q: %w", a.format, err)}
	}
	if a.quiet {
		a.output.Format = show.Name
	}
	if err := a.applyContext(cmd.Flags()); err != nil {
		return &usageError{cmd, err}
	}
	if err := a.cfg.Validate(); err != nil {
		return &usageError{cmd, err}
	}
	a.warnIfReadable(a.tokenPath)
	return nil
}

// Run runs the command line args and returns the exit code. The root command's help lists the exit codes.
func (p Program) Run(ctx context.Context, args []string) int {
	root := New(p)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var column *show.ColumnError
	if errors.As(err, &column) {
		err = &usageError{cmd, err}
	}
	return p.exitCode(ctx, err)
}
