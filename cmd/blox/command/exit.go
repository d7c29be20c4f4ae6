package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/show"
)

// The exit codes, which the root command's help explains.
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

// usageError is a command line that makes no sense.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

// outcome is the end of a command that did what it was to do, with an exit code that tells of it. All has been said.
type outcome struct{ code int }

func (o *outcome) Error() string { return fmt.Sprintf("exit code %d", o.code) }

// conclude says what err is, where that is not said yet, and returns the exit code.
func (p Program) conclude(ctx context.Context, err error) int {
	var told *outcome
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &told):
		return told.code
	case errors.As(err, &usage):
		fmt.Fprintf(p.Err, "blox: %s\nSee \"%s --help\".\n", indent(show.Plain(err.Error())), usage.cmd.CommandPath())
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	}
	fmt.Fprintln(p.Err, "blox:", indent(show.Plain(err.Error())))
	return exitError
}

// indent puts all lines but the first below the words and not below the program's name.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// group prepares cmd and everything below it: what a command is not made for is a usage error, and not a page of help.
func group(cmd *cobra.Command) {
	for _, child := range cmd.Commands() {
		group(child)
	}
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return &usageError{cmd, err}
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if len(given) == 0 {
				return nil
			}
			text := fmt.Sprintf("unknown command %q for %q", given[0], cmd.CommandPath())
			cmd.SuggestionsMinimumDistance = 2
			if like := cmd.SuggestionsFor(given[0]); len(like) > 0 {
				text += fmt.Sprintf("; did you mean %q?", strings.Join(like, `" or "`))
			}
			return &usageError{cmd, errors.New(text)}
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
}

// names is a validator of arguments, which are told by their names: those in brackets may be left out.
func names(list ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, given []string) error {
		for i, name := range list {
			if i >= len(given) && !strings.HasPrefix(name, "[") {
				return fmt.Errorf("%s is missing", name)
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
