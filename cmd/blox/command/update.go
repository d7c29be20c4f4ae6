package command

import (
	"context"
	"encoding/json"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/manifest"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// updateOptions are the options of an update of an environment.
type updateOptions struct {
	token  string // that the update needs; that of the present environment if empty
	dryRun bool
}

// changeEnvironment applies a JSON merge patch to an environment. With a token, the service rejects the change if the
// environment has changed since the token was read.
func changeEnvironment(
	ctx context.Context, c *connect.Clients, present *models.Environment, patch map[string]any, token string,
) (*models.Environment, error) {
	exported, err := manifest.Export(present)
	if err != nil {
		return nil, err
	}
	d := manifest.Document{Source: conv.Value(present.Name), Fields: manifest.Merge(exported, patch)}
	return updateDocument(ctx, c, d, present, updateOptions{token: token})
}

// updateDocument makes the environment as the document describes it, unless it is so already.
func updateDocument(
	ctx context.Context, c *connect.Clients, d manifest.Document, present *models.Environment, options updateOptions,
) (*models.Environment, error) {
	exported, err := manifest.Export(present)
	if err != nil {
		return nil, err
	}
	patch, err := d.Patch(exported)
	if err != nil {
		return nil, err
	}
	if len(patch) == 0 && options.token == "" {
		return present, nil
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	if options.token == "" {
		options.token = tokenOf(present)
	}
	params := ds.NewUpdateEnvironmentParams().WithName(conv.Value(present.Name)).WithDeploymentToken(options.token).
		WithBody(&models.UpdateEnvironmentRequest{})
	if options.dryRun {
		params.SetDryRun(&options.dryRun)
	}
	changed, err := c.Scheduler.UpdateEnvironmentContext(ctx, params, connect.WithBody(body))
	if err != nil {
		return nil, err
	}
	return changed.Payload, nil
}
