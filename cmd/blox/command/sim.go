package command

import (
	"context"
	"encoding/json"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
)

func newSimCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "sim", Short: "Control the ECS simulator that \"make local\" runs",
		Long: `Control the ECS simulator that "make local" and ecs-sim run: add and remove container instances, stop tasks,
register task definitions, and inject faults. These commands never reach a real ECS.

Name instances and tasks by ARN or ID.`,
		Example: `  blox sim instances add --count 10
  blox sim task-definitions register agent
  blox sim tasks kill 5bb4f837205844218c118cdcf855655a --exit-code 139
  blox sim faults set '{"failToRun": {"agent": 0.2}}'`,
	}
	cmd.PersistentFlags().StringVar(&a.cfg.SimEndpoint, "sim-endpoint", a.cfg.SimEndpoint,
		"`URL` of the simulator (BLOX_SIM_ENDPOINT)")
	_ = cmd.RegisterFlagCompletionFunc("sim-endpoint", noFiles)
	for _, newCommand := range []func(*app) *cobra.Command{
		newSimInstances, newSimTasks, newSimTaskDefinitions, newSimClusters, newSimFaults, newSimServices, newSimAlarms,
		newSimState, newSimCounters,
	} {
		cmd.AddCommand(newCommand(a))
	}
	return cmd
}

// sendControl sends a request to the control API and prints its result, or done for people.
func (a *app) sendControl(
	ctx context.Context, c *connect.Clients, method, path string, query url.Values, done string,
) error {
	raw, err := c.Simulator.Control(ctx, method, path, query, nil)
	if err != nil {
		return err
	}
	if a.output.Structured() {
		return a.output.Encode(a.Out, raw)
	}
	a.info("%s", done)
	return nil
}

// printRaw prints JSON that has no table; people get YAML.
func (a *app) printRaw(raw json.RawMessage) error {
	if a.output.Structured() {
		return a.output.Encode(a.Out, raw)
	}
	return show.Encode(a.Out, show.YAML, raw)
}

// listOf returns a field of an object as a list in the API's shape.
func listOf(raw json.RawMessage, name string) any {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object[name] == nil {
		return map[string]any{"items": []any{}}
	}
	return map[string]any{"items": object[name]}
}
