package command

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
)

func newContextCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "context", Aliases: []string{"contexts"}, Short: "Manage named connections to several Blox installations",
		Long: `Manage named connections to several Blox installations, in the file that BLOX_CONFIG names; by default
~/.config/blox/config.yml. Flags and environment variables override the settings of a context.`,
		Example: `  blox context set prod --endpoint https://scheduler.example.com --css-endpoint https://state.example.com
  blox context use prod
  blox --context prod environments list`,
	}
	cmd.AddCommand(newContextList(a), newContextUse(a), newContextSet(a), newContextDelete(a))
	return cmd
}

func newContextList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List contexts",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: func(*cobra.Command, []string) error {
			contexts, err := connect.ReadContexts(connect.ContextsPath(a.Getenv))
			if err != nil {
				return err
			}
			type item struct {
				Name            string `json:"name"`
				Current         bool   `json:"current"`
				connect.Context `json:",inline"`
			}
			items, rows := []item{}, &show.Rows{Columns: show.Columns("NAME", "CURRENT", "ENDPOINT~", "CSS ENDPOINT~",
				"SIGV4", "REGION+", "CA+", "CERT+", "KEY+", "TOKEN FILE+")}
			for _, name := range contexts.Names() {
				c := contexts.Contexts[name]
				items = append(items, item{name, name == contexts.Current, c})
				rows.Add(name, show.YesNo(name == contexts.Current), c.Endpoint, c.CSSEndpoint, show.YesNo(c.SigV4), c.Region,
					c.CA, c.Cert, c.Key, c.TokenFile)
			}
			return a.list(map[string]any{"items": items}, "No contexts. Create one with \"blox context set\".",
				func(show.Style) *show.Rows { return rows })
		},
	}
}

func newContextUse(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Make a context the current one",
		Args: positionalArgs("NAME"), ValidArgsFunction: a.contextNames,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.changeContexts(func(contexts *connect.Contexts) error {
				contexts.Current = args[0]
				_, err := contexts.Get(args[0])
				return err
			}, "Context %s is the current one.", args[0])
		},
	}
}

func newContextSet(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Create or change a context with the connection flags",
		Long: `Create or change a context with the connection flags: --endpoint, --css-endpoint, --ca, --cert, --key,
--token-file, --sigv4 and --region. Settings whose flags are not given stay as they are. The first context becomes the
current one.`,
		Example: `  blox context set aws --endpoint https://ID.execute-api.REGION.amazonaws.com --sigv4 --region us-east-1`,
		Args:    positionalArgs("NAME"), ValidArgsFunction: a.contextNames,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return a.changeContexts(func(contexts *connect.Contexts) error {
			c := contexts.Contexts[args[0]]
			if err := a.saveFlags(cmd.Flags(), &c); err != nil {
				return err
			}
			contexts.Contexts[args[0]] = c
			if len(contexts.Contexts) == 1 {
				contexts.Current = args[0]
			}
			return nil
		}, "Context %s saved.", args[0])
	}
	return cmd
}

func newContextDelete(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete a context",
		Args: positionalArgs("NAME"), ValidArgsFunction: a.contextNames,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.changeContexts(func(contexts *connect.Contexts) error {
				_, err := contexts.Get(args[0])
				delete(contexts.Contexts, args[0])
				if contexts.Current == args[0] {
					contexts.Current = ""
				}
				return err
			}, "Context %s deleted.", args[0])
		},
	}
}

// changeContexts changes the configuration file.
func (a *app) changeContexts(change func(*connect.Contexts) error, done string, args ...any) error {
	path := connect.ContextsPath(a.Getenv)
	contexts, err := connect.ReadContexts(path)
	if err != nil {
		return err
	}
	if err := change(&contexts); err != nil {
		return err
	}
	if err := contexts.Write(path); err != nil {
		return err
	}
	a.info(done, args...)
	return nil
}

// contextNames completes the name of a context.
func (a *app) contextNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	contexts, err := connect.ReadContexts(connect.ContextsPath(a.Getenv))
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return contexts.Names(), cobra.ShellCompDirectiveNoFileComp
}

// connectionSetting is a connection flag with its variable and its place in a context.
type connectionSetting struct {
	flag, variable string
	value          *string // of the running command
	saved          func(*connect.Context) *string
}

func (a *app) connectionSettings() []connectionSetting {
	return []connectionSetting{
		{"endpoint", "BLOX_ENDPOINT", &a.cfg.Endpoint, func(c *connect.Context) *string { return &c.Endpoint }},
		{"css-endpoint", "BLOX_CSS_ENDPOINT", &a.cfg.CSSEndpoint, func(c *connect.Context) *string { return &c.CSSEndpoint }},
		{"ca", "BLOX_CA", &a.cfg.TLS.CA, func(c *connect.Context) *string { return &c.CA }},
		{"cert", "BLOX_CERT", &a.cfg.TLS.Cert, func(c *connect.Context) *string { return &c.Cert }},
		{"key", "BLOX_KEY", &a.cfg.TLS.Key, func(c *connect.Context) *string { return &c.Key }},
		{"token-file", "BLOX_TOKEN_FILE", &a.cfg.TokenFile, func(c *connect.Context) *string { return &c.TokenFile }},
		{"region", "", &a.cfg.Region, func(c *connect.Context) *string { return &c.Region }},
	}
}

// saveFlags copies the connection flags that are given into a context. Files get absolute paths.
func (a *app) saveFlags(flags *pflag.FlagSet, c *connect.Context) error {
	for _, s := range a.connectionSettings() {
		if !flags.Changed(s.flag) {
			continue
		}
		value := *s.value
		if slices.Contains([]string{"ca", "cert", "key", "token-file"}, s.flag) && value != "" {
			var err error
			if value, err = filepath.Abs(value); err != nil {
				return fmt.Errorf("--%s: %w", s.flag, err)
			}
		}
		*s.saved(c) = value
	}
	if flags.Changed("sigv4") {
		c.SigV4 = a.cfg.SigV4
	}
	return nil
}

// applyContext completes the connection settings from the selected context. Flags and variables override it.
func (a *app) applyContext(flags *pflag.FlagSet) error {
	contexts, err := connect.ReadContexts(connect.ContextsPath(a.Getenv))
	if err != nil {
		return err
	}
	name := a.context
	if name == "" {
		name = contexts.Current
	}
	if name == "" {
		a.applyToken(flags, connect.Context{})
		return nil
	}
	c, err := contexts.Get(name)
	if err != nil {
		return fmt.Errorf("--context: %w", err)
	}
	a.applyToken(flags, c)
	for _, s := range a.connectionSettings() {
		if s.flag == "token-file" {
			continue
		}
		if saved := *s.saved(&c); saved != "" && !a.isOverridden(flags, s.flag, s.variable) {
			*s.value = saved
		}
	}
	if !flags.Changed("sigv4") && a.Getenv("BLOX_SIGV4") == "" && c.SigV4 {
		a.cfg.SigV4 = true
	}
	return nil
}
