package command

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/backoff"
)

// listInterval is the interval at which --watch reads a list.
const listInterval = 2 * time.Second

// withWatch adds the flag --watch to a command that runList runs.
func withWatch(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolP("watch", "w", false, "print rows that are new, changed or gone until Ctrl-C")
	return cmd
}

// runList is run for a command that prints a list. With --watch, it repeats do and prints what changes.
func (a *app) runList(do commandFunc) func(*cobra.Command, []string) error {
	once, repeated := a.run(do), a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		for {
			err := poll(ctx, func() (bool, error) { return true, do(ctx, c, args) })
			if errors.Is(err, context.Canceled) {
				return nil
			}
			if err != nil {
				return err
			}
			if !backoff.Sleep(ctx, listInterval) {
				return nil
			}
		}
	})
	return func(cmd *cobra.Command, args []string) error {
		if watch, err := cmd.Flags().GetBool("watch"); err != nil || !watch {
			return once(cmd, args)
		}
		if a.output.Structured() {
			return &usageError{cmd, errors.New("--watch prints rows: use -o table, wide or name, or \"blox stream\"")}
		}
		a.changes = &show.Changes{}
		return repeated(cmd, args)
	}
}
