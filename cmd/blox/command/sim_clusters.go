package command

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
)

func newSimClusters(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "clusters", Aliases: []string{"cluster"}, Short: "Create clusters"}
	cmd.AddCommand(&cobra.Command{
		Use: "add NAME", Short: "Create a cluster", Args: positionalArgs("NAME"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			return a.sendControl(ctx, c, http.MethodPost, "clusters", url.Values{"name": {args[0]}},
				"Cluster "+args[0]+" created.")
		}),
	})
	return cmd
}
