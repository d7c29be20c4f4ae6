package command

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/manifest"
)

func newSimFaults(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "faults", Aliases: []string{"fault"}, Short: "Inject faults",
		Long: `Inject faults: throttled and refused calls, lost responses, late and duplicate events, failing starts,
tasks that stop. internal/ecssim/README.md describes the fields; fractions are from 0 to 1.`,
		Example: `  blox sim faults set '{"throttle": {"ecs": 0.1}, "lostResponses": {"StartTask": 0.05}}'
  blox sim faults set '{"startFailures": 0.2, "startFailureReason": "RESOURCE:MEMORY"}'
  blox sim faults set '{"refusals": {"ecs": {"code": "ExpiredTokenException", "fraction": 1}}}'
  blox sim faults clear`,
	}
	cmd.AddCommand(newSimFaultsSet(a),
		&cobra.Command{
			Use: "show", Short: "Show the faults", Args: positionalArgs(), ValidArgsFunction: noFiles,
			RunE: a.run(a.sendFaults(http.MethodGet, nil)),
		},
		&cobra.Command{
			Use: "clear", Short: "Clear all faults", Args: positionalArgs(), ValidArgsFunction: noFiles,
			RunE: a.run(a.sendFaults(http.MethodPut, []byte("{}"))),
		},
	)
	return cmd
}

// sendFaults implements a command that reads or replaces the faults and prints them.
func (a *app) sendFaults(method string, body []byte) commandFunc {
	return func(ctx context.Context, c *connect.Clients, _ []string) error {
		raw, err := c.Simulator.Control(ctx, method, "faults", nil, body)
		if err != nil {
			return err
		}
		return a.printRaw(raw)
	}
}

func newSimFaultsSet(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "set [JSON]", Short: "Set the faults; replaces all earlier ones",
		Args: positionalArgs("[JSON]"), ValidArgsFunction: noFiles,
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if (file == "") == (len(args) == 0) {
			return &usageError{cmd, errors.New("use either JSON or --file")}
		}
		var document map[string]any
		var err error
		if file != "" {
			document, err = manifest.ReadObject(file, a.In)
		} else {
			document, err = manifest.ReadObject("-", strings.NewReader(args[0]))
		}
		if err != nil {
			return &usageError{cmd, err}
		}
		body, err := json.Marshal(document)
		if err != nil {
			return err
		}
		return a.sendFaults(http.MethodPut, body)(ctx, c, nil)
	})
	cmd.Flags().StringVarP(&file, "file", "f", "", "`file` in JSON or YAML; - for stdin")
	return cmd
}
