package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/manifest"
	"github.com/blox/blox/cmd/blox/show"
)

func newSimTaskDefinitions(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "task-definitions", Aliases: []string{"task-definition", "td"},
		Short: "Register task definitions, and list them"}
	cmd.AddCommand(newSimRegister(a), newSimDefinitionsList(a))
	return cmd
}

func newSimRegister(a *app) *cobra.Command {
	var cpu, memory, port int64
	var file string
	var healthCheck bool
	cmd := &cobra.Command{
		Use: "register [FAMILY]", Short: "Register the next revision of a task definition",
		Long: `Register the next revision of a task definition: with one container, or with --file, from the input of ECS's
RegisterTaskDefinition.`,
		Example: `  blox sim task-definitions register agent --cpu 64 --memory 128
  blox sim task-definitions register --file taskdef.json`,
		Args: positionalArgs("[FAMILY]"), ValidArgsFunction: noFiles,
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if (file == "") == (len(args) == 0) {
			return &usageError{cmd, errors.New("use either FAMILY or --file")}
		}
		if file != "" {
			input, err := manifest.ReadObject(file, a.In)
			if err != nil {
				return &usageError{cmd, fmt.Errorf("--file: %w", err)}
			}
			return a.registerDocument(ctx, c, input)
		}
		query := url.Values{"family": {args[0]}, "cpu": {number(cpu)}, "memory": {number(memory)}}
		if port > 0 {
			query.Set("hostPort", number(port))
		}
		if healthCheck {
			query.Set("healthCheck", "true")
		}
		return a.registerFamily(ctx, c, query)
	})
	cmd.Flags().Int64Var(&cpu, "cpu", 128, "CPU `units` of the container")
	cmd.Flags().Int64Var(&memory, "memory", 256, "memory of the container, in `MiB`")
	cmd.Flags().Int64Var(&port, "host-port", 0, "static host `port` of the container")
	cmd.Flags().BoolVar(&healthCheck, "health-check", false, "add a health check to the container")
	cmd.Flags().StringVarP(&file, "file", "f", "",
		"`file` in JSON or YAML with the input of RegisterTaskDefinition; - for stdin")
	return cmd
}

// registerDocument registers a task definition from the input of RegisterTaskDefinition.
func (a *app) registerDocument(ctx context.Context, c *connect.Clients, input map[string]any) error {
	var response struct {
		TaskDefinition struct{ TaskDefinitionArn string }
	}
	if err := c.Simulator.ECS(ctx, "RegisterTaskDefinition", input, &response); err != nil {
		return err
	}
	return a.printDefinition(response.TaskDefinition.TaskDefinitionArn)
}

// registerFamily registers a task definition with one container.
func (a *app) registerFamily(ctx context.Context, c *connect.Clients, query url.Values) error {
	raw, err := c.Simulator.Control(ctx, http.MethodPost, "task-definitions", query, nil)
	if err != nil {
		return err
	}
	var response struct{ TaskDefinition string }
	if err := json.Unmarshal(raw, &response); err != nil {
		return err
	}
	return a.printDefinition(response.TaskDefinition)
}

func (a *app) printDefinition(arn string) error {
	return a.print(map[string]string{"taskDefinition": arn}, func(s show.Style) printable {
		rows := &show.Rows{Columns: show.Columns("TASK DEFINITION")}
		rows.Add(s.ID(arn))
		return rows
	})
}

func newSimDefinitionsList(a *app) *cobra.Command {
	var family string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the ACTIVE task definitions",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			all, err := simDefinitions(ctx, c, family)
			if err != nil {
				return err
			}
			none := "No task definitions. Register one with \"blox sim task-definitions register\"."
			return a.list(map[string]any{"items": all}, none, func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("TASK DEFINITION")}
				for _, arn := range all {
					rows.Add(s.ID(arn))
				}
				return rows
			})
		}),
	}
	cmd.Flags().StringVar(&family, "family", "", "only of this `family`")
	return cmd
}

// simDefinitions returns the ARNs of the simulator's ACTIVE task definitions; family may be empty.
func simDefinitions(ctx context.Context, c *connect.Clients, family string) ([]string, error) {
	return allPages(func(token string) ([]string, string, error) {
		input := map[string]string{}
		if family != "" {
			input["familyPrefix"] = family
		}
		if token != "" {
			input["nextToken"] = token
		}
		var page struct {
			TaskDefinitionArns []string
			NextToken          string
		}
		err := c.Simulator.ECS(ctx, "ListTaskDefinitions", input, &page)
		return page.TaskDefinitionArns, page.NextToken, err
	})
}
