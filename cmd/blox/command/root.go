// Package command is what blox can be told to do: a file for each of its words.
package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/version"
)

// Program is where a command runs.
type Program struct {
	In     io.Reader
	Out    io.Writer // what was asked for
	Err    io.Writer // progress, and what went wrong
	Getenv func(string) string
}

// app is what all commands share: the program, and the flags that every command knows.
type app struct {
	Program
	cfg    connect.Config
	format string
	wide   bool
}

const rootHelp = `blox works with Blox: it creates environments and deployments in daemon-scheduler, and asks
cluster-state-service what is in your ECS clusters.

An environment says which task is to run on every container instance of a cluster. A deployment puts it
into effect: one task is started on each instance, and kept there.

  blox environments create web-agent --cluster default --task-definition agent:1
  blox deployments create web-agent --watch
  blox environments instances web-agent

Without flags blox looks on this machine, where "make local" runs all of Blox. Flags say where else it is:

  blox --endpoint http://scheduler:2000 --css-endpoint http://state:3000 clusters list
  blox --sigv4 --endpoint https://ID.execute-api.REGION.amazonaws.com clusters list       # Blox on AWS

Variables in place of flags: BLOX_ENDPOINT, BLOX_CSS_ENDPOINT, BLOX_SIM_ENDPOINT, BLOX_CA, BLOX_CERT, BLOX_KEY,
BLOX_SIGV4. NO_COLOR turns colours off; there are none outside of a terminal anyway.

What a script can rely on, besides -o json and -o yaml, are the exit codes:

    0  done; a deployment that was watched is completed; a stream was ended by Ctrl-C
    1  it did not work: the message says why and what to do
    2  the command line is wrong
    3  a watched deployment failed
    4  a watched deployment was stopped
    5  a watched deployment failed or was stopped, and the one before it is back
    6  a watched deployment had not ended when --watch-for was over
  130  interrupted`

// The groups that the root command's help shows.
const (
	groupDeploy = "deploy"
	groupSee    = "see"
	groupMore   = "more"
)

// newCommands are the words that may follow "blox"; a new one is added here.
var newCommands = []struct {
	group string
	new   func(*app) *cobra.Command
}{
	{groupDeploy, newEnvironmentsCommand},
	{groupDeploy, newDeploymentsCommand},
	{groupSee, newClustersCommand},
	{groupSee, newInstancesCommand},
	{groupSee, newTasksCommand},
	{groupSee, newStreamCommand},
	{groupMore, newStatusCommand},
	{groupMore, newProbeCommand},
	{groupMore, newSimCommand},
}

// New is the root command. It reads flags and variables, and nothing else before a command runs.
func New(p Program) *cobra.Command {
	a := &app{Program: p}
	root := &cobra.Command{
		Use:           "blox",
		Short:         "Keep a task on every container instance of your ECS clusters, and see what runs there",
		Long:          rootHelp,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cmd, err} })
	root.SetVersionTemplate("blox {{.Version}}\n")
	a.globalFlags(root)
	root.AddGroup(&cobra.Group{ID: groupDeploy, Title: "Have a task on every instance:"}, &cobra.Group{ID: groupSee, Title: "See what is in the clusters:"},
		&cobra.Group{ID: groupMore, Title: "More:"})
	for _, one := range newCommands {
		cmd := one.new(a)
		cmd.GroupID = one.group
		root.AddCommand(cmd)
	}
	root.SetHelpCommandGroupID(groupMore)
	root.SetCompletionCommandGroupID(groupMore)
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.check(cmd) }
	group(root)
	return root
}

// usageTemplate is cobra's, but that it wraps what is told of flags, and knows that a group of commands is not to be run itself.
func usageTemplate(cobras string) string {
	return strings.NewReplacer(
		"{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}",
		"Flags.FlagUsages ", fmt.Sprintf("Flags.FlagUsagesWrapped %d ", helpWidth),
	).Replace(cobras)
}

// helpWidth is how many columns the help on flags has.
const helpWidth = 120

func (a *app) globalFlags(root *cobra.Command) {
	flags, env := root.PersistentFlags(), a.Getenv
	signed, _ := strconv.ParseBool(env("BLOX_SIGV4"))
	flags.StringVar(&a.cfg.Endpoint, "endpoint", cmp.Or(env("BLOX_ENDPOINT"), connect.DefaultEndpoint), "`URL` of daemon-scheduler (BLOX_ENDPOINT)")
	flags.StringVar(&a.cfg.CSSEndpoint, "css-endpoint", env("BLOX_CSS_ENDPOINT"), "`URL` of cluster-state-service (BLOX_CSS_ENDPOINT; default "+connect.DefaultCSSEndpoint+", and with --sigv4 that of --endpoint)")
	flags.StringVar(&a.cfg.TLS.CA, "ca", env("BLOX_CA"), "`file` with the authorities that an https server's certificate is checked by, in PEM form (BLOX_CA; default the machine's)")
	flags.StringVar(&a.cfg.TLS.Cert, "cert", env("BLOX_CERT"), "`file` with the certificate to show to a server that wants one (BLOX_CERT)")
	flags.StringVar(&a.cfg.TLS.Key, "key", env("BLOX_KEY"), "`file` with the key of --cert (BLOX_KEY)")
	flags.BoolVar(&a.cfg.SigV4, "sigv4", signed, "sign requests with your AWS credentials, as Blox on AWS wants (BLOX_SIGV4)")
	flags.StringVar(&a.cfg.Region, "region", "", "AWS `region` to sign for (default that of your AWS configuration)")
	flags.DurationVar(&a.cfg.Timeout, "timeout", 30*time.Second, "`time` that a request may take")
	flags.StringVarP(&a.format, "output", "o", string(show.Table), "`format` of what is shown: table, json or yaml")
	flags.BoolVar(&a.wide, "wide", false, "tables with every column, whole ARNs, and nothing cut to fit the terminal")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(show.Formats, cobra.ShellCompDirectiveNoFileComp))
	a.cfg.SimEndpoint = cmp.Or(env("BLOX_SIM_ENDPOINT"), connect.DefaultSimEndpoint)
}

// check finds what is wrong with the flags that every command knows.
func (a *app) check(cmd *cobra.Command) error {
	if !slices.Contains(show.Formats, a.format) {
		return &usageError{cmd, fmt.Errorf("--output %q: not one of %s", a.format, strings.Join(show.Formats, ", "))}
	}
	if err := a.cfg.Problem(); err != nil {
		return &usageError{cmd, err}
	}
	return nil
}

// Run runs the command that args are, and returns the exit code that the root command's help tells of.
func (p Program) Run(ctx context.Context, args []string) int {
	root := New(p)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return p.conclude(ctx, err)
}
