package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// watchAll watches the deployments one after another; without --watch, it reports those that have ended. The exit code
// is the highest of theirs.
func (a *app) watchAll(ctx context.Context, c *connect.Clients, made []*models.Deployment, watch watchFlags) error {
	worst := &outcome{exitDone}
	for _, d := range made {
		var err error
		switch {
		case watch.on:
			err = a.watchOrPrint(ctx, c, d, watch)
		case !isInProgress(d):
			err = a.reportUnsuccessful(ctx, c, d)
		}
		var ended *outcome
		switch {
		case errors.As(err, &ended):
			worst.code = max(worst.code, ended.code)
		case err != nil:
			return err
		}
	}
	if worst.code != exitDone {
		return worst
	}
	return nil
}

// reportUnsuccessful prints that an earlier deployment of the newest revision did not succeed. The exit code is that of
// watching it.
func (a *app) reportUnsuccessful(ctx context.Context, c *connect.Clients, d *models.Deployment) error {
	code := exitFailed
	if stateOf(d) == stopped {
		code = exitStopped
	}
	back, err := rollbackOf(ctx, c, d)
	if err != nil {
		return err
	}
	if back != nil && stateOf(back) == completed {
		code = exitRolledBack
	}
	name := conv.Value(d.EnvironmentName)
	fmt.Fprintf(a.Err, "%s: deployment %s of revision %d is %s and is not repeated. %s\n"+
		"  \"blox deploy %s --force-new-deployment\" deploys the revision again.\n",
		name, idOf(d), d.Revision, stateOf(d), show.OneLine(d.RolloutStateReason), name)
	return &outcome{code}
}

// deployNewest deploys the newest revision of an environment and returns the deployment; nil if its tasks run already.
// If the revision was deployed before and that deployment has not completed, it returns that one.
func deployNewest(ctx context.Context, c *connect.Clients, e *models.Environment) (*models.Deployment, error) {
	made, err := c.Scheduler.CreateDeploymentContext(ctx, ds.NewCreateDeploymentParams().
		WithName(conv.Value(e.Name)).WithDeploymentToken(tokenOf(e)))
	switch {
	case connect.IsTokenUsed(err):
		return unfinishedDeployment(ctx, c, e)
	case err != nil:
		return nil, err
	}
	return made.Payload, nil
}

// unfinishedDeployment returns the deployment of the newest revision, unless it has completed.
func unfinishedDeployment(ctx context.Context, c *connect.Clients, e *models.Environment) (*models.Deployment, error) {
	list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(conv.Value(e.Name)))
	if err != nil {
		return nil, err
	}
	for _, d := range list.Payload.Items {
		if d.Revision != e.Revision {
			continue
		}
		if stateOf(d) == completed {
			return nil, nil
		}
		return d, nil
	}
	return nil, nil
}
