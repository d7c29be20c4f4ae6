package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newDeploymentsPlan(a *app) *cobra.Command {
	request := deploymentRequest{dryRun: true}
	cmd := &cobra.Command{
		Use: "plan ENVIRONMENT", Short: "Show what a deployment would start and stop",
		Long: `Show what a deployment would start and stop on each instance, and why, without deploying. Blox executes the
steps of one BATCH together. A batch starts when the tasks of the earlier batches are ready.`,
		Args: positionalArgs("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			planned, err := createDeployment(ctx, c, args[0], request)
			if err != nil {
				return err
			}
			return a.printPlan(planned)
		}),
	}
	request.addFlags(cmd)
	return cmd
}

// printPlan prints the plan of a dry run.
func (a *app) printPlan(planned *models.Deployment) error {
	err := a.list(planned, "Nothing to do.", func(s show.Style) *show.Rows {
		rows := &show.Rows{Columns: show.Columns("BATCH", "ACTION", "INSTANCE~", "TASK~", "REASON~")}
		for _, step := range planned.Plan {
			rows.Add(show.Count(step.Batch), conv.Value(step.Action), s.ID(conv.Value(step.ContainerInstance)),
				s.ID(step.Task), conv.Value(step.Reason))
		}
		return rows
	})
	if err == nil && len(planned.Plan) > 0 && a.output.Format == show.Table {
		fmt.Fprintln(a.Err, planSummary(planned))
	}
	return err
}

// planSummary formats a plan as "agent:2 on web-agent, in 8 batches: 4 to start, 4 to stop".
func planSummary(planned *models.Deployment) string {
	var batches int64
	count := map[string]int{}
	for _, step := range planned.Plan {
		count[conv.Value(step.Action)]++
		if step.Batch != nil {
			batches = max(batches, *step.Batch)
		}
	}
	var steps []string
	for _, action := range []struct{ name, text string }{
		{"start", "to start"}, {"stop", "to stop"}, {"wait", "to wait for"},
	} {
		if n := count[action.name]; n > 0 {
			steps = append(steps, fmt.Sprintf("%d %s", n, action.text))
		}
	}
	unit := "batches"
	if batches == 1 {
		unit = "batch"
	}
	return fmt.Sprintf("%s on %s, in %d %s: %s.", (show.Style{}).ID(conv.Value(planned.TaskDefinition)),
		conv.Value(planned.EnvironmentName), batches, unit, strings.Join(steps, ", "))
}
