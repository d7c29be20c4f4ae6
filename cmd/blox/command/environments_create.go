package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/manifest"
)

func newEnvironmentsCreate(a *app) *cobra.Command {
	var spec environmentSpec
	cmd := &cobra.Command{
		Use: "create [NAME]", Short: "Create an environment; starts nothing",
		Long: `Create an environment. It starts nothing; "blox deploy NAME" does. With --from-service, the
takeover of that service begins at once; see "blox migrate --help".

A file can set fields that have no flag, such as networkConfiguration and overrides. It has the fields of the API's
request, as in "blox environments describe NAME -o yaml":

  name: web-agent
  instanceGroup: {cluster: default, query: "attribute:ecs.os-type == linux"}
  taskDefinition: agent:1
  taskSettings:
    networkConfiguration:
      awsvpcConfiguration: {subnets: [subnet-0a1b2c3d]}`,
		Example: `  blox environments create web-agent --cluster default --task-definition agent:1
  blox environments create gpu-agent --cluster ml --task-definition gpu-agent --attribute gpu=true \
      --circuit-breaker rollback --canary-percent 10
  blox environments create exporter --cluster prod --from-service node-exporter --dry-run
  blox environments create --file agent.yml`,
		Args: positionalArgs("[NAME]"), ValidArgsFunction: noFiles,
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		document, err := spec.document(cmd, a.In)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			document["name"] = args[0]
		}
		d, err := manifest.New(spec.source(), document)
		if err != nil {
			return err
		}
		if err := errors.Join(d.ValidateFields(), requiredFields(d.Fields)); err != nil {
			return &usageError{cmd, err}
		}
		if err := d.Validate(); err != nil {
			return &usageError{cmd, err}
		}
		made, err := createDocument(ctx, c, d, spec.dryRun)
		if err != nil {
			return err
		}
		return a.printEnvironment(made)
	})
	spec.flags(cmd, true)
	return cmd
}

// requiredFields returns an error that lists the required fields that document lacks.
func requiredFields(document map[string]any) error {
	var problems []error
	group, _ := document["instanceGroup"].(map[string]any)
	for _, needed := range []struct {
		value     any
		field, by string
	}{
		{document["name"], "name", "NAME"},
		{group["cluster"], "instanceGroup.cluster", "--cluster"},
		{document["taskDefinition"], "taskDefinition", "--task-definition"},
	} {
		if document["fromService"] != nil && needed.field == "taskDefinition" {
			continue // the service's
		}
		if needed.value == nil || needed.value == "" {
			problems = append(problems, fmt.Errorf("%s is required (in --file: %s)", needed.by, needed.field))
		}
	}
	return errors.Join(problems...)
}
