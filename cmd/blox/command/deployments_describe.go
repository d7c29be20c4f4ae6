package command

import (
	"context"
	"fmt"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newDeploymentsDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "describe ENVIRONMENT [ID]", Aliases: []string{"get", "show"}, Short: "Show a deployment; by default the newest",
		Args: positionalArgs("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			d, err := findDeployment(ctx, c, args, newest)
			if err != nil {
				return err
			}
			return a.describeDeployment(d, environmentOf(ctx, c, d))
		}),
	}
}

// environmentOf returns the environment of a deployment in progress, whose counts say more than the deployment's. It
// returns nil for another deployment, and if the environment cannot be read.
func environmentOf(ctx context.Context, c *connect.Clients, d *models.Deployment) *models.Environment {
	if !isInProgress(d) {
		return nil
	}
	got, err := c.Scheduler.GetEnvironmentContext(ctx,
		ds.NewGetEnvironmentParams().WithName(conv.Value(d.EnvironmentName)))
	if err != nil {
		return nil
	}
	return got.Payload
}

func (a *app) printDeployment(d *models.Deployment) error { return a.describeDeployment(d, nil) }

// describeDeployment prints a deployment, with the counts of its environment unless that is nil.
func (a *app) describeDeployment(d *models.Deployment, e *models.Environment) error {
	return a.print(d, func(s show.Style) printable {
		f := &show.Fields{}
		f.Add("ID", idOf(d))
		f.Add("Environment", conv.Value(d.EnvironmentName))
		f.Add("State", stateOf(d))
		f.Add("Reason", d.RolloutStateReason)
		f.Add("Task definition", s.ID(conv.Value(d.TaskDefinition)))
		if d.Revision > 0 {
			f.Add("Revision", number(d.Revision))
		}
		f.Add("Rollback of", d.RollbackOf)
		if counts := countsOfRollout(d, e); counts.desired != nil && counts.running != nil {
			f.Add("Instances", fmt.Sprintf("%d of %d %s", *counts.running, *counts.desired, progressText(d, counts)))
		}
		if d.FailedTasks > 0 {
			f.Add("Failures", number(d.FailedTasks))
		}
		if d.CanaryProgress != nil {
			f.Add("Canary step", stepProgressOf(s, d.CanaryProgress))
		}
		if d.Promoted {
			f.Add("Promoted", "yes")
		}
		f.Add("Created", s.Time(time.Time(conv.Value(d.CreatedAt))))
		f.Add("Bake started", s.Time(time.Time(conv.Value(d.BakeStartedAt))))
		f.Add("Ended", s.Time(time.Time(conv.Value(d.FinishedAt))))
		f.Add("Duration", duration(d))
		for _, failure := range d.Failures {
			f.Add("Failed on", s.ID(conv.Value(failure.ContainerInstance))+": "+failureText(failure))
		}
		return f
	})
}
