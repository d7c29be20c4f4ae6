package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newEnvironmentsCreate(a *app) *cobra.Command {
	var spec specification
	cmd := &cobra.Command{
		Use: "create [NAME]", Short: "Create an environment; nothing is started yet",
		Long: `Create an environment. Nothing is started yet: "blox deployments create NAME" does that.

What flags do not cover, such as networkConfiguration and overrides, can be said in a file. It has the fields of the
API, which "blox environments describe NAME -o yaml" shows too:

  name: web-agent
  instanceGroup: {cluster: default, query: "attribute:ecs.os-type == linux"}
  taskDefinition: agent:1
  taskSettings:
    networkConfiguration:
      awsvpcConfiguration: {subnets: [subnet-0a1b2c3d]}`,
		Example: `  blox environments create web-agent --cluster default --task-definition agent:1
  blox environments create gpu-agent --cluster ml --task-definition gpu-agent --attribute gpu=true \
      --circuit-breaker rollback --canary-percent 10
  blox environments create --file agent.yml`,
		Args: names("[NAME]"), ValidArgsFunction: noFiles,
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		document, err := spec.document(cmd, a.In)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			document["name"] = args[0]
		}
		body, err := json.Marshal(document)
		if err != nil {
			return err
		}
		if err := errors.Join(strictly(body), missing(document)); err != nil {
			return &usageError{cmd, err}
		}
		made, err := c.Scheduler.CreateEnvironmentContext(ctx, ds.NewCreateEnvironmentParams(), connect.WithBody(body))
		if err != nil {
			return err
		}
		return a.printEnvironment(made.Payload)
	})
	spec.flags(cmd, true)
	return cmd
}

// missing tells what a new environment needs and document has not.
func missing(document map[string]any) error {
	var problems []error
	group, _ := document["instanceGroup"].(map[string]any)
	for _, needed := range []struct {
		value     any
		field, by string
	}{
		{document["name"], "name", "NAME"}, {group["cluster"], "instanceGroup.cluster", "--cluster"}, {document["taskDefinition"], "taskDefinition", "--task-definition"},
	} {
		if needed.value == nil || needed.value == "" {
			problems = append(problems, fmt.Errorf("%s is missing (in --file: %s)", needed.by, needed.field))
		}
	}
	return errors.Join(problems...)
}

func newEnvironmentsUpdate(a *app) *cobra.Command {
	var spec specification
	var token string
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Change an environment; nothing is started or stopped yet",
		Long: `Change an environment: what is not mentioned stays as it is. It gets a new revision; nothing is started or stopped
before "blox deployments create NAME", and "blox deployments plan NAME" tells what that would do.

--attribute and --tag replace all that there were. --file has the fields of "blox environments create --file"; what
is null in it goes back to its default. With --token, the environment's deployment token as it was read before, a
change that somebody else made meanwhile is not overwritten: the exit code is 1.`,
		Example: `  blox environments update web-agent --task-definition agent:2
  blox environments update web-agent --minimum-healthy-percent 80 --reset canary,query`,
		Args: names("NAME"), ValidArgsFunction: a.environmentNames(),
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		document, err := spec.document(cmd, a.In)
		if err != nil {
			return err
		}
		if name, given := document["name"]; given && name != args[0] {
			return &usageError{cmd, fmt.Errorf("--file is of an environment named %v, and not %s", name, args[0])}
		}
		delete(document, "name")
		if len(document) == 0 {
			return &usageError{cmd, errors.New("nothing to change: give a flag or --file")}
		}
		got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(args[0]))
		if err != nil {
			return err
		}
		leaveCluster(document, clusterOf(got.Payload))
		if token == "" {
			token = tokenOf(got.Payload)
		}
		body, err := json.Marshal(document)
		if err != nil {
			return err
		}
		changed, err := c.Scheduler.UpdateEnvironmentContext(ctx,
			ds.NewUpdateEnvironmentParams().WithName(args[0]).WithDeploymentToken(token).WithBody(&models.UpdateEnvironmentRequest{}), connect.WithBody(body))
		if err != nil {
			return err
		}
		return a.printEnvironment(changed.Payload)
	})
	spec.flags(cmd, false)
	cmd.Flags().StringVar(&token, "token", "", "the deployment `token` as it was read before (default the present one)")
	return cmd
}

// leaveCluster takes the cluster out of a change where it is the one that the environment has, by name or ARN: a file that
// an environment was created with can then be used to update it.
func leaveCluster(document map[string]any, present string) {
	group, is := document["instanceGroup"].(map[string]any)
	if !is {
		return
	}
	if given := group["cluster"]; given == present || given == (show.Style{}).ID(present) {
		take(document, "instanceGroup.cluster")
	}
}
