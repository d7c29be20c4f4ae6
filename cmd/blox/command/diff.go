package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/manifest"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Exit codes of diff, as of the tool of that name.
const (
	exitDifferent = 1
	exitTrouble   = 2
)

func newDiffCommand(a *app) *cobra.Command {
	var files manifestFlags
	var prune pruneFlags
	cmd := &cobra.Command{
		Use: "diff --file FILE", Short: "Show the changes that apply would make",
		Long: `Show the changes that "blox apply" would make, as a unified diff of each environment's document. The service
validates the documents and fills in defaults; nothing is changed. The exit code is 0 without a difference, 1 with one,
and 2 after an error.`,
		Example: `  blox diff -f agents/
  blox diff -f team-a/ --prune --prefix team-a-`,
		Args: positionalArgs(), ValidArgsFunction: noFiles,
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
		if err := prune.validate(false); err != nil {
			return &usageError{cmd, err}
		}
		documents, err := files.read(cmd, a)
		if err != nil {
			return err
		}
		different, err := a.diff(ctx, c, documents, prune)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return &trouble{err}
		case different:
			return &outcome{exitDifferent}
		}
		return nil
	})
	files.add(cmd)
	cmd.Flags().BoolVar(&prune.on, "prune", false, "show the environments with --prefix that --prune would delete")
	cmd.Flags().StringVar(&prune.prefix, "prefix", "", "`prefix` of the names of environments that --prune may delete")
	return cmd
}

// trouble is an error of diff, whose exit code 1 means a difference.
type trouble struct{ err error }

func (t *trouble) Error() string { return t.err.Error() }
func (t *trouble) Unwrap() error { return t.err }

// diff prints the differences and reports whether there are any.
func (a *app) diff(
	ctx context.Context, c *connect.Clients, documents []manifest.Document, prune pruneFlags,
) (different bool, err error) {
	style := a.style(a.Out)
	var problems []error
	for _, d := range documents {
		before, after, err := planDocument(ctx, c, d)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", d.Name(), err))
			continue
		}
		text := udiff.Unified(d.Name()+" (present)", d.Name()+" ("+d.Source+")", before, after)
		if err := show.WriteDiff(a.Out, text, style); err != nil {
			return different, err
		}
		different = different || text != ""
	}
	if prune.on && len(problems) == 0 {
		names, err := prunable(ctx, c, documents, prune.prefix)
		for _, name := range names {
			different = true
			if _, err := io.WriteString(a.Out, "Environment "+name+" would be deleted.\n"); err != nil {
				return different, err
			}
		}
		problems = append(problems, err)
	}
	return different, errors.Join(problems...)
}

// planDocument returns the environment's document in YAML, as it is and as apply would make it. An environment that
// does not exist has an empty one.
func planDocument(ctx context.Context, c *connect.Clients, d manifest.Document) (before, after string, err error) {
	const dryRun = true
	got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(d.Name()))
	var planned *models.Environment
	switch {
	case connect.IsStatus(err, http.StatusNotFound):
		planned, err = createDocument(ctx, c, d, dryRun)
	case err == nil:
		if before, err = exportText(got.Payload); err == nil {
			planned, err = updateDocument(ctx, c, d, got.Payload, updateOptions{dryRun: dryRun})
		}
	}
	if err != nil {
		return "", "", err
	}
	after, err = exportText(planned)
	return before, after, err
}

func exportText(e *models.Environment) (string, error) {
	exported, err := manifest.Export(e)
	if err != nil {
		return "", err
	}
	return show.EncodeText(show.YAML, manifest.Ordered(exported))
}
