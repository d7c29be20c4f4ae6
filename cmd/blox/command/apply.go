package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

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
		Long: `Create or update environments as files describe them. A document describes its environment completely: omitted
fields get their defaults. Applying the same files again changes nothing. blox validates all documents before it sends
the first one. If the service rejects a document, blox still sends the others.

` + manifestHelp + `

Applying files changes no running task. With --deploy, blox also deploys each environment whose newest revision was
never deployed. With --watch, blox watches the deployments of the newest revisions one after another, including earlier
ones in progress. The exit code is the highest of theirs.

If the newest revision was deployed earlier and its deployment failed, blox does not repeat it. The exit code reports
it: 3 failed, 4 stopped, 5 rolled back. "blox deploy NAME --force-new-deployment" deploys the revision again.

--prune deletes the environments that no document describes and whose names begin with --prefix. Their tasks keep
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
		return &usageError{cmd, errors.New("--deploy and --dry-run are mutually exclusive: use \"blox deployments plan\"")}
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
	e, err := updateDocument(ctx, c, d, got.Payload, updateOptions{dryRun: dryRun})
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
