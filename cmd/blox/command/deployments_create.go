package command

import (
	"context"
	"fmt"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newDeploymentsCreate(a *app) *cobra.Command {
	var request deploymentRequest
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "create ENVIRONMENT", Short: "Deploy the newest or another revision of an environment",
		Long: `Deploy the newest revision of an environment, or the one that --revision names. With --watch, the exit code
is the outcome: 0 completed, 3 failed, 4 stopped, 5 rolled back, 6 still in progress after --watch-for,
130 interrupted.

The deployment keeps running tasks of other revisions with the same task definition and task settings. To replace
every task, use --force-new-deployment. "blox environments revisions" lists the revisions.

A deployment token permits one deployment, and every update renews it. blox reads the current token.
With --token, the deployment is rejected if the environment has changed since you read the token.`,
		Example: `  blox deployments create web-agent --watch
  blox deployments create web-agent --revision 3
  blox deployments create web-agent --watch --watch-for 15m && echo completed`,
		Args: positionalArgs("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			made, err := createDeployment(ctx, c, args[0], request)
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, made, watch)
		}),
	}
	request.addFlags(cmd)
	watch.add(cmd)
	return cmd
}

// deploymentRequest is a deployment to create or to plan.
type deploymentRequest struct {
	present  *models.Environment // whose token to use; nil: read it
	token    string              // to use instead of the present one; empty: none
	revision int64               // 0: the newest
	force    bool
	dryRun   bool
}

func (r *deploymentRequest) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.token, "token", "", "deployment `token` read before (default: the current one)")
	cmd.Flags().Int64Var(&r.revision, "revision", 0, "`number` of the revision to deploy (default: the newest)")
	cmd.Flags().BoolVar(&r.force, "force-new-deployment", false, "replace every task")
}

// createDeployment deploys the environment, or plans that.
func createDeployment(
	ctx context.Context, c *connect.Clients, name string, request deploymentRequest,
) (*models.Deployment, error) {
	present, token := request.present, request.token
	switch {
	case token != "":
	case present != nil:
		token = tokenOf(present)
	default:
		got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(name))
		if err != nil {
			return nil, err
		}
		present = got.Payload
		token = tokenOf(present)
	}
	params := ds.NewCreateDeploymentParams().WithName(name).WithDeploymentToken(token)
	if request.revision != 0 {
		params.SetRevision(&request.revision)
	}
	if request.force {
		params.SetForceNewDeployment(&request.force)
	}
	if request.dryRun {
		params.SetDryRun(&request.dryRun)
	}
	made, err := c.Scheduler.CreateDeploymentContext(ctx, params)
	if present != nil && connect.IsTokenUsed(err) {
		return nil, explainTokenUsed(ctx, c, present, err)
	}
	if err != nil {
		return nil, err
	}
	return made.Payload, nil
}

// explainTokenUsed explains a used token by the state of the deployment that used it.
func explainTokenUsed(ctx context.Context, c *connect.Clients, e *models.Environment, err error) error {
	list, listing := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(conv.Value(e.Name)))
	if listing != nil {
		return err
	}
	for _, d := range list.Payload.Items {
		if d.Revision != e.Revision || d.RollbackOf != "" {
			continue
		}
		return tokenUsedBy(d, e, d == list.Payload.Items[0])
	}
	return err
}

// tokenUsedBy returns the error for the token of e, which d used; newest says whether d is the newest deployment.
func tokenUsedBy(d *models.Deployment, e *models.Environment, newest bool) error {
	name := conv.Value(e.Name)
	if isInProgress(d) {
		return fmt.Errorf("deployment %[2]s of environment %[1]s is already in progress\n"+
			"\"blox deployments watch %[1]s\" watches it", name, idOf(d))
	}
	update := fmt.Sprintf("\"blox environments update %s\" changes it", name)
	force := fmt.Sprintf("\"blox deployments create %s --force-new-deployment\"", name)
	if newest && stateOf(d) == completed {
		return fmt.Errorf("nothing to deploy: deployment %s already rolled out the newest revision of environment %s\n"+
			"%s; %s replaces every task", idOf(d), name, update, force)
	}
	return fmt.Errorf("nothing to deploy: revision %d of environment %s was deployed before; deployment %s is %s\n"+
		"%s; %s deploys it again", e.Revision, name, idOf(d), stateOf(d), update, force)
}
