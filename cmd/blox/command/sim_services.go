package command

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
)

func newSimServices(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "services", Aliases: []string{"service"}, Short: "Make a service return 503"}
	cmd.AddCommand(
		newSimOutage(a, "down", "Make a service return 503 until \"up\"", true),
		newSimOutage(a, "up", "End the outage of a service", false),
	)
	return cmd
}

// newSimOutage returns the command that begins the outage of a service, or with down false, ends it.
func newSimOutage(a *app, use, short string, down bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " SERVICE", Short: short, Long: short + ". SERVICE is ecs, sqs, kinesis, cloudwatch, sts or eventbridge.",
		Args:              positionalArgs("SERVICE"),
		ValidArgsFunction: fixed("ecs", "sqs", "kinesis", "cloudwatch", "sts", "eventbridge"),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			query := url.Values{"service": {args[0]}, "down": {strconv.FormatBool(down)}}
			return a.sendControl(ctx, c, http.MethodPost, "services", query, args[0]+" is "+use+".")
		}),
	}
}
