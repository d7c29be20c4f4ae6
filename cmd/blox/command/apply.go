package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/manifest"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Results of an applied document.
const (
	resultCreated   = "created"
	resultUpdated   = "updated"
	resultUnchanged = "unchanged"
	resultDeleted   = "deleted"
)

// applied is the result of one environment.
type applied struct {
	Name       string `json:"name"`
	Result     string `json:"result"`
	Revision   int64  `json:"revision,omitempty"`
	Deployment string `json:"deployment,omitempty"`
	State      string `json:"rolloutState,omitempty"`
	DryRun     bool   `json:"dryRun,omitempty"`
}

func newApplyCommand(a *app) *cobra.Command {
	var files manifestFlags
	var options applyOptions
	cmd := &cobra.Command{
		Use: "apply --file FILE", Short: "Create or update environments as files describe them",
		Long: `Create or update environments as files describe them. A document describes its environment completely: fields
that it lacks get their defaults. Applying the same files again changes nothing. All documents are validated before
the first of them is sent; a document that the service rejects does not hold up the others.

` + manifestHelp + `

Running tasks stay as they are, unless --deploy deploys each environment whose newest revision was never deployed.
An earlier deployment of it that failed is not repeated: "blox deploy NAME --force-new-deployment" does that. With
--watch, the deployments of the newest revisions are watched one after another, including earlier ones that have not
completed; the exit code is the highest of theirs.

--prune deletes the environments whose names begin with --prefix and that no document describes; their tasks keep
running.`,
		Example: `  blox apply -f agents/
  blox apply -f agents.yml --deploy --watch
  blox apply -f team-a/ --prune --prefix team-a- --dry-run
  blox export web-agent | blox apply -f -`,
		Args: positionalArgs(), ValidArgsFunction: noFiles,
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
		if err := options.validate(cmd, files); err != nil {
			return err
		}
		documents, err := files.read(cmd, a)
		if err != nil {
			return err
		}
		return a.apply(ctx, c, documents, options)
	})
	files.add(cmd)
	options.add(cmd)
	return cmd
}

// applyOptions are the flags of apply.
type applyOptions struct {
	dryRun, deploy bool
	watch          watchFlags
	prune          pruneFlags
}

func (o *applyOptions) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "have the service validate everything, and change nothing")
	cmd.Flags().BoolVar(&o.deploy, "deploy", false, "deploy environments whose newest revision was never deployed")
	o.watch.add(cmd)
	o.prune.add(cmd)
}

func (o *applyOptions) validate(cmd *cobra.Command, files manifestFlags) error {
	switch {
	case o.watch.on && !o.deploy:
		return &usageError{cmd, errors.New("--watch needs --deploy")}
	case o.deploy && o.dryRun:
		return &usageError{cmd, errors.New("--deploy and --dry-run exclude each other: use \"blox deployments plan\"")}
	}
	if err := o.prune.validate(files.usesStdin() && !o.dryRun); err != nil {
		return &usageError{cmd, err}
	}
	return nil
}

// apply applies the documents, deploys, prunes, and prints the results. It returns the errors of all environments.
func (a *app) apply(
	ctx context.Context, c *connect.Clients, documents []manifest.Document, options applyOptions,
) error {
	results, problems := []*applied{}, []error{}
	var made []*models.Deployment
	for _, d := range documents {
		result, e, err := applyDocument(ctx, c, d, options.dryRun)
		if err == nil && options.deploy {
			var deployment *models.Deployment
			if deployment, err = deployNewest(ctx, c, e); deployment != nil {
				result.Deployment, result.State = idOf(deployment), stateOf(deployment)
				made = append(made, deployment)
			}
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", d.Name(), err))
		}
		if result != nil {
			results = append(results, result)
		}
	}
	if options.prune.on && len(problems) == 0 {
		pruned, err := a.prune(ctx, c, documents, options)
		results, problems = append(results, pruned...), append(problems, err)
	}
	err := a.list(map[string]any{"items": results}, "Nothing applied.", func(show.Style) *show.Rows {
		return appliedRows(results)
	})
	if err := errors.Join(append(problems, err)...); err != nil {
		return err
	}
	return a.watchAll(ctx, c, made, options.watch)
}

func appliedRows(results []*applied) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("NAME", "RESULT", "REVISION", "DEPLOYMENT", "STATE")}
	for _, r := range results {
		result, revision := r.Result, ""
		if r.DryRun {
			result += " (dry run)"
		}
		if r.Revision > 0 {
			revision = number(r.Revision)
		}
		rows.Add(r.Name, result, revision, r.Deployment, r.State)
	}
	return rows
}

// watchAll watches the deployments one after another. The exit code is the highest of theirs.
func (a *app) watchAll(ctx context.Context, c *connect.Clients, made []*models.Deployment, watch watchFlags) error {
	if !watch.on {
		return nil
	}
	worst := &outcome{exitDone}
	for _, d := range made {
		err := a.watchOrPrint(ctx, c, d, watch)
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

// applyAttempts limits how often a document is applied to an environment that others change meanwhile.
const applyAttempts = 5

// applyDocument creates or updates an environment and returns it as it is then. If another client changes the
// environment between the read and the update, both are repeated: the document describes the environment completely.
func applyDocument(
	ctx context.Context, c *connect.Clients, d manifest.Document, dryRun bool,
) (result *applied, e *models.Environment, err error) {
	for range applyAttempts {
		result, e, err = tryApply(ctx, c, d, dryRun)
		if !connect.IsChangedMeanwhile(err) {
			break
		}
	}
	return result, e, err
}

func tryApply(
	ctx context.Context, c *connect.Clients, d manifest.Document, dryRun bool,
) (*applied, *models.Environment, error) {
	got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(d.Name()))
	if connect.IsStatus(err, http.StatusNotFound) {
		e, err := createDocument(ctx, c, d, dryRun)
		if err != nil {
			return nil, nil, err
		}
		return &applied{Name: d.Name(), Result: resultCreated, Revision: e.Revision, DryRun: dryRun}, e, nil
	}
	if err != nil {
		return nil, nil, err
	}
	e, err := updateDocument(ctx, c, d, got.Payload, dryRun)
	if err != nil {
		return nil, nil, err
	}
	result := resultUpdated
	if e.Revision == got.Payload.Revision {
		result = resultUnchanged
	}
	return &applied{Name: d.Name(), Result: result, Revision: e.Revision, DryRun: dryRun}, e, nil
}

func createDocument(
	ctx context.Context, c *connect.Clients, d manifest.Document, dryRun bool,
) (*models.Environment, error) {
	body, err := json.Marshal(d.Fields)
	if err != nil {
		return nil, err
	}
	made, err := c.Scheduler.CreateEnvironmentContext(ctx,
		ds.NewCreateEnvironmentParams().WithDryRun(&dryRun), connect.WithBody(body))
	if err != nil {
		return nil, err
	}
	return made.Payload, nil
}

// updateDocument makes the environment as the document describes it, unless it is so already.
func updateDocument(
	ctx context.Context, c *connect.Clients, d manifest.Document, present *models.Environment, dryRun bool,
) (*models.Environment, error) {
	exported, err := manifest.Export(present)
	if err != nil {
		return nil, err
	}
	patch, err := d.Patch(exported)
	if err != nil || len(patch) == 0 {
		return present, err
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	params := ds.NewUpdateEnvironmentParams().WithName(d.Name()).WithDeploymentToken(tokenOf(present)).
		WithBody(&models.UpdateEnvironmentRequest{})
	if dryRun {
		params.SetDryRun(&dryRun)
	}
	changed, err := c.Scheduler.UpdateEnvironmentContext(ctx, params, connect.WithBody(body))
	if err != nil {
		return nil, err
	}
	return changed.Payload, nil
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
