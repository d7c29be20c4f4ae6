package command

import (
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/manifest"
	"github.com/blox/blox/cmd/blox/show"
)

func newValidateCommand(a *app) *cobra.Command {
	var files manifestFlags
	cmd := &cobra.Command{
		Use: "validate --file FILE", Short: "Validate files for apply without the service",
		Long: `Validate files for "blox apply" without the service: fields, types, ranges and queries. "blox apply --dry-run"
also checks that the cluster and the task definition exist and suit the settings.

` + manifestHelp,
		Example: `  blox validate -f agents/`,
		Args:    positionalArgs(), ValidArgsFunction: noFiles,
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		documents, err := files.read(cmd, a)
		if err != nil {
			return err
		}
		type valid struct {
			Name   string `json:"name"`
			Source string `json:"source"`
		}
		items := []valid{}
		for _, d := range documents {
			items = append(items, valid{d.Name(), d.Source})
		}
		return a.list(map[string]any{"items": items}, "", func(show.Style) *show.Rows {
			return validRows(documents)
		})
	}
	files.add(cmd)
	return cmd
}

func validRows(documents []manifest.Document) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("NAME", "RESULT", "SOURCE~")}
	for _, d := range documents {
		rows.Add(d.Name(), "valid", d.Source)
	}
	return rows
}
