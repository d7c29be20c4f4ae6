package command

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/manifest"
)

// manifestFlags select documents that describe environments.
type manifestFlags struct {
	paths     []string
	recursive bool
}

func (f *manifestFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.paths, "file", "f", nil,
		"YAML or JSON `file` or folder with environments; - for stdin; repeatable")
	cmd.Flags().BoolVarP(&f.recursive, "recursive", "R", false, "read subfolders too")
}

// read returns the valid documents. Every problem of every document is an invalid command line.
func (f *manifestFlags) read(cmd *cobra.Command, a *app) ([]manifest.Document, error) {
	if len(f.paths) == 0 {
		return nil, &usageError{cmd, errors.New("--file is required")}
	}
	documents, err := manifest.Read(f.paths, f.recursive, a.In)
	if err != nil {
		return nil, &usageError{cmd, err}
	}
	var problems []error
	for _, d := range documents {
		problems = append(problems, d.Validate())
	}
	if err := errors.Join(problems...); err != nil {
		return nil, &usageError{cmd, err}
	}
	return documents, nil
}

// usesStdin reports whether the documents are read from stdin.
func (f *manifestFlags) usesStdin() bool { return slices.Contains(f.paths, "-") }

const manifestHelp = `A document has the fields of the request that creates an environment, as "blox export" prints it:

  name: web-agent
  instanceGroup: {cluster: default, query: "attribute:ecs.os-type == linux"}
  taskDefinition: agent:1
  deploymentConfiguration: {minimumHealthyPercent: 90}

A file may hold several YAML documents, separated by ---, or a list. Fields that a document with
fromService lacks keep the values that came from the service.`
