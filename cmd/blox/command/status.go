package command

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// serviceStatus is the readiness of one service.
type serviceStatus struct {
	Service string   `json:"service"`
	Ready   bool     `json:"ready"`
	Leader  string   `json:"leader"`
	Reasons []string `json:"reasons"` // why it is not ready, and warnings of a service that is
}

func newStatusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show whether both services are ready",
		Long: `Show whether both services are ready, which replica leads, and if a service is not ready, why. A service that
is ready may warn that one of several accounts or regions fails. The exit code is 1 unless both are ready.`,
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			state, scheduler := stateReadiness(ctx, c), schedulerReadiness(ctx, c)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			all := []serviceStatus{state, scheduler}
			err := a.print(map[string]any{"items": all}, func(show.Style) printable {
				rows := &show.Rows{Columns: show.Columns("SERVICE", "READY", "LEADER", "REASONS~")}
				for _, s := range all {
					rows.Add(s.Service, show.YesNo(s.Ready), s.Leader, strings.Join(s.Reasons, "; "))
				}
				return rows
			})
			if err == nil && !(state.Ready && scheduler.Ready) {
				err = &outcome{exitError}
			}
			return err
		}),
	}
}

func stateReadiness(ctx context.Context, c *connect.Clients) serviceStatus {
	const name = "cluster-state-service"
	response, err := c.State.ReadyContext(ctx, css.NewReadyParams())
	if err != nil {
		return serviceStatus{Service: name, Reasons: notReadyReasons(err)}
	}
	ready := response.Payload
	return serviceStatus{
		Service: name, Ready: true, Leader: conv.Value(ready.Leader), Reasons: slices.Concat(ready.Reasons, ready.Warnings),
	}
}

func schedulerReadiness(ctx context.Context, c *connect.Clients) serviceStatus {
	const name = "daemon-scheduler"
	response, err := c.Scheduler.ReadyContext(ctx, ds.NewReadyParams())
	if err != nil {
		return serviceStatus{Service: name, Reasons: notReadyReasons(err)}
	}
	ready := response.Payload
	return serviceStatus{Service: name, Ready: true, Leader: conv.Value(ready.Leader), Reasons: ready.Reasons}
}

// notReadyReasons returns the reasons that a service reports, or why it cannot be reached.
func notReadyReasons(err error) []string {
	var refused *connect.ResponseError
	var reported serviceStatus
	if errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable &&
		json.Unmarshal([]byte(refused.Text), &reported) == nil && len(reported.Reasons) > 0 {
		return reported.Reasons
	}
	return []string{strings.ReplaceAll(err.Error(), "\n", ". ")}
}
