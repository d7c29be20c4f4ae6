package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/manifest"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// pruneFlags select environments to delete because no document describes them.
type pruneFlags struct {
	on     bool
	prefix string
	yes    bool
}

func (p *pruneFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.on, "prune", false, "delete environments with --prefix that no document describes")
	cmd.Flags().StringVar(&p.prefix, "prefix", "", "`prefix` of the names of environments that --prune may delete")
	addYes(cmd, &p.yes)
}

// validate returns an error for a prune without a prefix, which would delete the environments of everybody else.
func (p *pruneFlags) validate(cannotAsk bool) error {
	switch {
	case p.on && p.prefix == "":
		return errors.New("--prune needs --prefix")
	case !p.on && p.prefix != "":
		return errors.New("--prefix needs --prune")
	case p.on && cannotAsk && !p.yes:
		return errors.New("--prune needs --yes when the documents come from stdin")
	}
	return nil
}

// prune deletes the environments that --prune selects, after a confirmation.
func (a *app) prune(
	ctx context.Context, c *connect.Clients, documents []manifest.Document, options applyOptions,
) ([]*applied, error) {
	names, err := prunable(ctx, c, documents, options.prune.prefix)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	if !options.dryRun && !options.prune.yes {
		question := fmt.Sprintf("Delete %s? The tasks keep running.", strings.Join(names, ", "))
		if err := a.confirm(question); err != nil {
			return nil, err
		}
	}
	var results []*applied
	for _, name := range names {
		if !options.dryRun {
			_, err := c.Scheduler.DeleteEnvironmentContext(ctx, ds.NewDeleteEnvironmentParams().WithName(name))
			if err != nil {
				return results, fmt.Errorf("%s: %w", name, err)
			}
		}
		results = append(results, &applied{Name: name, Result: resultDeleted, DryRun: options.dryRun})
	}
	return results, nil
}

// prunable returns the names of the environments with the prefix that no document describes.
func prunable(
	ctx context.Context, c *connect.Clients, documents []manifest.Document, prefix string,
) (names []string, err error) {
	described := map[string]bool{}
	for _, d := range documents {
		described[d.Name()] = true
	}
	list, err := c.Scheduler.ListEnvironmentsContext(ctx, ds.NewListEnvironmentsParams())
	if err != nil {
		return nil, err
	}
	for _, e := range list.Payload.Items {
		if name := conv.Value(e.Name); strings.HasPrefix(name, prefix) && !described[name] {
			names = append(names, name)
		}
	}
	return names, nil
}
