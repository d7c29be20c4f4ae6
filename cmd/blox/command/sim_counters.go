package command

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
)

func newSimCounters(a *app) *cobra.Command {
	var reset bool
	cmd := &cobra.Command{
		Use: "counters", Short: "Show counters of calls and invariants",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			method := http.MethodGet
			if reset {
				method = http.MethodDelete
			}
			raw, err := c.Simulator.Control(ctx, method, "counters", nil, nil)
			if err != nil {
				return err
			}
			return a.printRaw(raw)
		}),
	}
	cmd.Flags().BoolVar(&reset, "reset", false, "reset the counters")
	return cmd
}
