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

// Rollout states of the API.
const (
	inProgress = "IN_PROGRESS"
	waiting    = "WAITING_FOR_PROMOTION" // in progress, and not beyond its canary
	completed  = "COMPLETED"
	failed     = "FAILED"
	stopped    = "STOPPED"
)

func newDeploymentsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "deployments", Aliases: []string{"deployment", "dep"},
		Short: "Deploy environments and watch rollouts",
		Long: `A deployment rolls out the newest revision of an environment: it starts a task on every selected instance and
stops the tasks of earlier deployments. Afterwards, Blox starts a task on each instance that joins and replaces
tasks that stop.

ID is a deployment's ID or a unique prefix of it.`,
		Example: `  blox deployments plan web-agent
  blox deployments create web-agent --watch
  blox deployments list web-agent`,
	}
	cmd.AddCommand(newDeploymentsCreate(a), newDeploymentsPlan(a), newDeploymentsList(a), newDeploymentsDescribe(a),
		newDeploymentsWatch(a), newDeploymentsStop(a), newDeploymentsPromote(a))
	return cmd
}

// newest and current select a deployment if no id is given, and hold the error if none matches.
var (
	newest = deploymentChoice{
		func(*models.Deployment) bool { return true },
		"environment %s has no deployments: create one with \"blox deployments create\"",
	}
	current = deploymentChoice{
		isInProgress,
		"environment %s has no deployment in progress",
	}
)

type deploymentChoice struct {
	matches  func(*models.Deployment) bool
	notFound string
}

// findDeployment returns the deployment that args select: an environment and optionally a prefix of an id.
func findDeployment(
	ctx context.Context, c *connect.Clients, args []string, otherwise deploymentChoice,
) (*models.Deployment, error) {
	list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(args[0]))
	if err != nil {
		return nil, err
	}
	if len(args) < 2 {
		for _, d := range list.Payload.Items {
			if otherwise.matches(d) {
				return d, nil
			}
		}
		return nil, fmt.Errorf(otherwise.notFound, args[0])
	}
	return findByID(args[1], "deployment of environment "+args[0], list.Payload.Items, idOf)
}

func idOf(d *models.Deployment) string {
	return conv.Value(d.ID)
}

// stateOf returns the rollout state. It derives the state of deployments that v0.3 recorded from their status.
func stateOf(d *models.Deployment) string {
	switch {
	case d.RolloutState != "":
		return d.RolloutState
	case conv.Value(d.Status) == "completed":
		return completed
	}
	return inProgress
}

func isInProgress(d *models.Deployment) bool {
	return stateOf(d) == inProgress || stateOf(d) == waiting
}

func duration(d *models.Deployment) string {
	if d.CreatedAt == nil || d.FinishedAt == nil {
		return ""
	}
	took := time.Time(*d.FinishedAt).Sub(time.Time(*d.CreatedAt))
	return show.Duration(took.Round(time.Millisecond))
}

func failureText(f *models.InstanceFailure) string {
	if f.Detail == "" {
		return conv.Value(f.Reason)
	}
	return conv.Value(f.Reason) + ": " + f.Detail
}
