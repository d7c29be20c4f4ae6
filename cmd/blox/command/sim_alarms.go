package command

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
)

func newSimAlarms(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "alarms", Aliases: []string{"alarm"}, Short: "Set the states of simulated CloudWatch alarms",
	}
	cmd.AddCommand(newSimAlarmsList(a), newSimAlarmsSet(a), newSimAlarmsRemove(a))
	return cmd
}

func newSimAlarmsList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the simulated alarms",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, err := c.Simulator.Control(ctx, http.MethodGet, "alarms", nil, nil)
			if err != nil {
				return err
			}
			var state struct {
				Alarms []struct{ Name, State, Type string }
			}
			if err := json.Unmarshal(raw, &state); err != nil {
				return err
			}
			return a.list(listOf(raw, "alarms"), "No alarms.", func(show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("NAME~", "STATE", "TYPE")}
				for _, alarm := range state.Alarms {
					rows.Add(alarm.Name, alarm.State, alarm.Type)
				}
				return rows
			})
		}),
	}
}

func newSimAlarmsSet(a *app) *cobra.Command {
	var composite bool
	cmd := &cobra.Command{
		Use: "set NAME STATE", Short: "Create an alarm, or change its state",
		Long:    "Create an alarm, or change its state: OK, ALARM or INSUFFICIENT_DATA.",
		Example: "  blox sim alarms set agent-errors ALARM",
		Args:    positionalArgs("NAME", "STATE"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			state := strings.ToUpper(args[1])
			query := url.Values{"name": {args[0]}, "state": {state}}
			if composite {
				query.Set("type", "CompositeAlarm")
			}
			return a.sendControl(ctx, c, http.MethodPost, "alarms", query, "Alarm "+args[0]+" is "+state+".")
		}),
	}
	cmd.Flags().BoolVar(&composite, "composite", false, "create a composite alarm")
	return cmd
}

func newSimAlarmsRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Delete an alarm",
		Args: positionalArgs("NAME"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			return a.sendControl(ctx, c, http.MethodDelete, "alarms", url.Values{"name": {args[0]}},
				"Alarm "+args[0]+" deleted.")
		}),
	}
}
