package command

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// serviceStatus is what one service says of itself.
type serviceStatus struct {
	Service string   `json:"service"`
	Ready   bool     `json:"ready"`
	Leader  string   `json:"leader"`
	Reasons []string `json:"reasons"`
}

func newStatusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell whether the services can be reached and do their work",
		Long: `Tell whether the two services can be reached and do their work, which of their replicas leads, and what is
wrong where something is. The exit code is 1 unless both are ready.`,
		Args: names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			state, scheduler := serviceStatus{Service: "cluster-state-service"}, serviceStatus{Service: "daemon-scheduler"}
			if ok, err := c.State.ReadyContext(ctx, css.NewReadyParams()); err != nil {
				state.Reasons = whyNotReady(err)
			} else {
				state.Ready, state.Leader, state.Reasons = true, text(ok.Payload.Leader), ok.Payload.Reasons
			}
			if ok, err := c.Scheduler.ReadyContext(ctx, ds.NewReadyParams()); err != nil {
				scheduler.Reasons = whyNotReady(err)
			} else {
				scheduler.Ready, scheduler.Leader, scheduler.Reasons = true, text(ok.Payload.Leader), ok.Payload.Reasons
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			all := []serviceStatus{state, scheduler}
			err := a.print(map[string]any{"items": all}, func(show.Style) written {
				rows := &show.Rows{Columns: show.Columns("SERVICE", "READY", "LEADER", "WHY NOT~")}
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

// whyNotReady is what a service says is wrong with it, or what is wrong with reaching it.
func whyNotReady(err error) []string {
	var refused *connect.Refused
	var told serviceStatus
	if errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable && json.Unmarshal([]byte(refused.Text), &told) == nil && len(told.Reasons) > 0 {
		return told.Reasons
	}
	return []string{strings.ReplaceAll(err.Error(), "\n", ". ")}
}
