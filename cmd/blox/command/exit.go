package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/blox/blox/cmd/blox/show"
)

// Exit codes, as documented in the root command's help.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitFailed      = 3
	exitStopped     = 4
	exitRolledBack  = 5
	exitInProgress  = 6
	exitInterrupted = 130
)

// usageError reports an invalid command line.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

// outcome ends a command that did its work with a non-zero exit code. Nothing more is printed.
type outcome struct{ code int }

func (o *outcome) Error() string { return fmt.Sprintf("exit code %d", o.code) }

// exitCode prints err, unless it was printed before, and returns its exit code.
func (p Program) exitCode(ctx context.Context, err error) int {
	var ended *outcome
	var usage *usageError
	var ofDiff *trouble
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &ended):
		return ended.code
	case errors.As(err, &usage):
		fmt.Fprintf(p.Err, "blox: %s\nSee \"%s --help\".\n", indent(show.StripControl(err.Error())), usage.cmd.CommandPath())
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	}
	fmt.Fprintln(p.Err, "blox:", indent(show.StripControl(err.Error())))
	if errors.As(err, &ofDiff) {
		return exitTrouble
	}
	return exitError
}

// indent indents all lines of text but the first.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// rejectUnknownCommands makes unknown commands and wrong arguments usage errors, for cmd and its subcommands. Cobra
// would print the help and exit with 0.
func rejectUnknownCommands(cmd *cobra.Command) {
	for _, child := range cmd.Commands() {
		rejectUnknownCommands(child)
	}
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return &usageError{cmd, err}
			}
			return nil
		}
	}
	if cmd.Name() == "help" {
		cmd.Args = knownCommand
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if len(given) == 0 {
				return nil
			}
			text := fmt.Sprintf("unknown command %q for %q", given[0], cmd.CommandPath())
			cmd.SuggestionsMinimumDistance = 2
			if like := cmd.SuggestionsFor(given[0]); len(like) > 0 {
				text += fmt.Sprintf("; did you mean \"%s\"?", strings.Join(like, `" or "`))
			}
			return &usageError{cmd, errors.New(text)}
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
}

// knownCommand validates the arguments of help: the names of a command.
func knownCommand(help *cobra.Command, given []string) error {
	cmd, rest, err := help.Root().Find(given)
	if err == nil && len(rest) == 0 {
		return nil
	}
	return cmd.ValidateArgs(rest)
}

// accepted names the accepted values of types of flags.
var accepted = map[string]string{
	"int": "a whole number", "int32": "a whole number", "int64": "a whole number", "bool": "true or false",
	"duration": "a duration, such as 30s or 5m",
}

// explainFlag names the accepted values of a flag with an invalid one, and the flags most similar to an unknown one.
func explainFlag(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		if values, known := accepted[invalid.GetFlag().Value.Type()]; known {
			return fmt.Errorf("--%s %q: must be %s", invalid.GetFlag().Name, invalid.GetValue(), values)
		}
		return err
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || len(unknown.GetSpecifiedName()) < 2 {
		return err
	}
	flags := &cobra.Command{SuggestionsMinimumDistance: 2} // cobra knows how similar the names of commands are
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	like := flags.SuggestionsFor(unknown.GetSpecifiedName())
	if len(like) == 0 {
		return err
	}
	return fmt.Errorf("%w; did you mean \"--%s\"?", err, strings.Join(like, `" or "--`))
}

// positionalArgs validates arguments by name; those in brackets are optional.
func positionalArgs(list ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, given []string) error {
		for i, name := range list {
			if i >= len(given) && !strings.HasPrefix(name, "[") {
				return fmt.Errorf("%s is required", name)
			}
			if i < len(given) && strings.TrimSpace(given[i]) == "" {
				return fmt.Errorf("%s is empty", strings.Trim(name, "[]"))
			}
		}
		if len(given) > len(list) {
			return fmt.Errorf("unexpected argument %q", given[len(list)])
		}
		return nil
	}
}
