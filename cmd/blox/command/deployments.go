package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Rollout states of the API.
const (
	inProgress = "IN_PROGRESS"
	completed  = "COMPLETED"
	failed     = "FAILED"
	stopped    = "STOPPED"
)

func newDeploymentsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "deployments", Aliases: []string{"deployment", "deploy", "dep"},
		Short: "Deploy environments and watch rollouts",
		Long: `A deployment rolls out the newest revision of an environment: it starts a task on every selected instance and stops the
tasks of earlier deployments. Afterwards, Blox starts a task on each instance that joins and replaces tasks that stop.

ID is a deployment's id or a unique prefix of it.`,
		Example: `  blox deployments plan web-agent
  blox deployments create web-agent --watch
  blox deployments list web-agent`,
	}
	cmd.AddCommand(newDeploymentsCreate(a), newDeploymentsPlan(a), newDeploymentsList(a), newDeploymentsDescribe(a),
		newDeploymentsWatch(a), newDeploymentsStop(a), newDeploymentsPromote(a))
	return cmd
}

func newDeploymentsCreate(a *app) *cobra.Command {
	var token string
	var force bool
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "create ENVIRONMENT", Short: "Deploy the newest revision of an environment",
		Long: `Deploy the newest revision of an environment. With --watch, the exit code is the outcome: 0 completed, 3 failed,
4 stopped, 5 rolled back, 6 still in progress after --watch-for, 130 interrupted.

Each deployment consumes the environment's deployment token, which every update renews. blox reads the current token.
With --token, the deployment is rejected if the environment has changed since you read the token. To deploy a
revision again and replace every task, use --force-new-deployment.`,
		Example: `  blox deployments create web-agent --watch
  blox deployments create web-agent --watch --watch-for 15m && echo completed`,
		Args: positionalArgs("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			if force {
				var err error
				if token, err = createRevision(ctx, c, args[0], token); err != nil {
					return err
				}
			}
			made, err := createDeployment(ctx, c, args[0], token, false)
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, made, watch)
		}),
	}
	cmd.Flags().StringVar(&token, "token", "", "deployment `token` read before (default: the current one)")
	cmd.Flags().BoolVar(&force, "force-new-deployment", false, "deploy a revision that was deployed before")
	watch.add(cmd)
	return cmd
}

// createRevision creates a revision equal to the newest one and returns its deployment token.
func createRevision(ctx context.Context, c *connect.Clients, name, token string) (string, error) {
	got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(name))
	if err != nil {
		return "", err
	}
	if token == "" {
		token = tokenOf(got.Payload)
	}
	renewed, err := c.Scheduler.UpdateEnvironmentContext(ctx, ds.NewUpdateEnvironmentParams().WithName(name).WithDeploymentToken(token).
		WithBody(&models.UpdateEnvironmentRequest{TaskDefinition: text(got.Payload.TaskDefinition)}))
	if err != nil {
		return "", err
	}
	return tokenOf(renewed.Payload), nil
}

// createDeployment deploys the environment, or plans that with dryRun. It reads the token if it is empty.
func createDeployment(ctx context.Context, c *connect.Clients, name, token string, dryRun bool) (*models.Deployment, error) {
	var present *models.Environment
	if token == "" {
		got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(name))
		if err != nil {
			return nil, err
		}
		present = got.Payload
		token = tokenOf(present)
	}
	params := ds.NewCreateDeploymentParams().WithName(name).WithDeploymentToken(token)
	if dryRun {
		params.SetDryRun(&dryRun)
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
	list, listing := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(text(e.Name)))
	if listing != nil {
		return err
	}
	for _, d := range list.Payload.Items {
		if d.Revision != e.Revision || d.RollbackOf != "" {
			continue
		}
		name, change := text(e.Name), fmt.Sprintf("\n\"blox environments update %s\" changes it", text(e.Name))
		force := fmt.Sprintf("; \"blox deployments create %s --force-new-deployment\" replaces every task.", name)
		switch {
		case stateOf(d) == inProgress:
			return fmt.Errorf("deployment %[2]s of environment %[1]s is already in progress\n\"blox deployments watch %[1]s\" watches it", name, idOf(d))
		case d == list.Payload.Items[0] && stateOf(d) == completed:
			return fmt.Errorf("nothing to deploy: deployment %s already rolled out the newest revision of environment %s%s%s", idOf(d), name, change, force)
		}
		return fmt.Errorf("nothing to deploy: revision %d of environment %s was deployed before; deployment %s is %s%s%s", e.Revision, name,
			idOf(d), stateOf(d), change, "; \"blox deployments create "+name+" --force-new-deployment\" deploys it again.")
	}
	return err
}

func newDeploymentsPlan(a *app) *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use: "plan ENVIRONMENT", Short: "Show what a deployment would start and stop",
		Long: `Show what a deployment would start and stop on each instance, and why, without deploying. Steps of one WAVE happen
together; the next wave waits until the tasks of the earlier ones are running.`,
		Args: positionalArgs("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			planned, err := createDeployment(ctx, c, args[0], token, true)
			if err != nil {
				return err
			}
			err = a.list(planned, "Nothing to do.", func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("WAVE", "ACTION", "INSTANCE~", "TASK~", "REASON~")}
				for _, step := range planned.Plan {
					rows.Add(show.Count(step.Wave), text(step.Action), s.ID(text(step.ContainerInstance)), s.ID(step.Task), text(step.Reason))
				}
				return rows
			})
			if err == nil && len(planned.Plan) > 0 && a.format == string(show.Table) {
				fmt.Fprintln(a.Err, planSummary(planned))
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&token, "token", "", "deployment `token` read before (default: the current one)")
	return cmd
}

// planSummary formats a plan as "agent:2 on web-agent, in 8 waves: 4 to start, 4 to stop".
func planSummary(planned *models.Deployment) string {
	count, waves := map[string]int{}, int64(0)
	for _, step := range planned.Plan {
		count[text(step.Action)]++
		if step.Wave != nil {
			waves = max(waves, *step.Wave)
		}
	}
	var steps []string
	for _, action := range []struct{ name, say string }{{"start", "to start"}, {"stop", "to stop"}, {"wait", "to wait for"}} {
		if n := count[action.name]; n > 0 {
			steps = append(steps, fmt.Sprintf("%d %s", n, action.say))
		}
	}
	in := "waves"
	if waves == 1 {
		in = "wave"
	}
	return fmt.Sprintf("%s on %s, in %d %s: %s.", (show.Style{}).ID(text(planned.TaskDefinition)), text(planned.EnvironmentName), waves, in, strings.Join(steps, ", "))
}

func newDeploymentsList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list ENVIRONMENT", Aliases: []string{"ls"}, Short: "List the deployments of an environment, newest first",
		Args: positionalArgs("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.list(list.Payload, "No deployments. Create one with \"blox deployments create "+args[0]+"\".", func(s show.Style) *show.Rows {
				return deploymentRows(s, list.Payload.Items)
			})
		}),
	}
}

func deploymentRows(s show.Style, list []*models.Deployment) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("ID", "STATE", "TASK DEFINITION~", "REVISION", "DESIRED", "RUNNING", "PENDING", "FAILED", "CREATED", "DURATION", "REASON~", "ROLLBACK OF+")}
	for _, d := range list {
		reason := d.RolloutStateReason
		if reason == "" && d.RollbackOf != "" {
			reason = "rollback of " + d.RollbackOf
		}
		rows.Add(idOf(d), stateOf(d), s.ID(text(d.TaskDefinition)), number(d.Revision), show.Count(d.DesiredCount), show.Count(d.RunningCount),
			show.Count(d.PendingCount), show.Count(d.FailedCount), show.Time(timeOf(d.CreatedAt)), duration(d), reason, d.RollbackOf)
	}
	return rows
}

func newDeploymentsDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "describe ENVIRONMENT [ID]", Aliases: []string{"get", "show"}, Short: "Show a deployment; by default the newest",
		Args: positionalArgs("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			d, err := findDeployment(ctx, c, args, newest)
			if err != nil {
				return err
			}
			return a.printDeployment(d)
		}),
	}
}

func (a *app) printDeployment(d *models.Deployment) error {
	return a.print(d, func(s show.Style) printable {
		f := &show.Fields{}
		f.Add("ID", idOf(d))
		f.Add("Environment", text(d.EnvironmentName))
		f.Add("State", stateOf(d))
		f.Add("Reason", d.RolloutStateReason)
		f.Add("Task definition", s.ID(text(d.TaskDefinition)))
		if d.Revision > 0 {
			f.Add("Revision", number(d.Revision))
		}
		f.Add("Rollback of", d.RollbackOf)
		if d.DesiredCount != nil {
			f.Add("Instances", fmt.Sprintf("%d desired, %s running, %s pending, %s failed", *d.DesiredCount, show.Count(d.RunningCount),
				show.Count(d.PendingCount), show.Count(d.FailedCount)))
		}
		if d.FailedTasks > 0 {
			f.Add("Failures", number(d.FailedTasks))
		}
		if d.Promoted {
			f.Add("Promoted", "yes")
		}
		f.Add("Created", show.Time(timeOf(d.CreatedAt)))
		f.Add("Bake started", show.Time(timeOf(d.BakeStartedAt)))
		f.Add("Ended", show.Time(timeOf(d.FinishedAt)))
		f.Add("Duration", duration(d))
		for _, failure := range d.Failures {
			f.Add("Failed on", s.ID(text(failure.ContainerInstance))+": "+failureText(failure))
		}
		return f
	})
}

func newDeploymentsWatch(a *app) *cobra.Command {
	watch := watchFlags{on: true}
	cmd := &cobra.Command{
		Use: "watch ENVIRONMENT [ID]", Short: "Watch a deployment until it ends; by default the newest",
		Long: `Watch a deployment until it ends; by default the newest. Failures are printed as they happen, and a rollback is watched
too. The exit code is the outcome: 0 completed, 3 failed, 4 stopped, 5 rolled back, 6 still in progress after
--watch-for, 130 interrupted. In the last two cases, the deployment continues.`,
		Args: positionalArgs("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			d, err := findDeployment(ctx, c, args, newest)
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, d, watch)
		}),
	}
	watch.addLimit(cmd)
	return cmd
}

func newDeploymentsStop(a *app) *cobra.Command {
	var kind string
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "stop ENVIRONMENT [ID]", Short: "Stop the deployment in progress and roll back or pause",
		Long: `Stop the deployment in progress, or the one with the given id. --type ROLLBACK creates a deployment that restores the
last completed one; --watch watches it. --type ABORT leaves all tasks as they are and pauses the environment until it
is resumed or deployed again.`,
		Example: `  blox deployments stop web-agent --watch
  blox deployments stop web-agent --type ABORT`,
		Args: positionalArgs("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		given := strings.ToUpper(kind)
		if given != "ROLLBACK" && given != "ABORT" {
			return &usageError{cmd, fmt.Errorf("--type %q: must be ROLLBACK or ABORT", kind)}
		}
		d, err := findDeployment(ctx, c, args, current)
		if err != nil {
			return err
		}
		ended, err := c.Scheduler.StopDeploymentContext(ctx, ds.NewStopDeploymentParams().WithName(args[0]).WithID(idOf(d)).WithType(&given))
		if err != nil {
			return err
		}
		if watch.on {
			back, err := rollbackOf(ctx, c, ended.Payload)
			if err != nil {
				return err
			}
			if back != nil {
				return a.watchOrPrint(ctx, c, back, watch)
			}
		}
		return a.printDeployment(ended.Payload)
	})
	cmd.Flags().StringVar(&kind, "type", "ROLLBACK", "`type` of stop: ROLLBACK or ABORT")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions([]string{"ROLLBACK", "ABORT"}, cobra.ShellCompDirectiveNoFileComp))
	watch.add(cmd)
	return cmd
}

func newDeploymentsPromote(a *app) *cobra.Command {
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "promote ENVIRONMENT [ID]", Short: "Promote a canary: continue the deployment on all instances",
		Args: positionalArgs("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			d, err := findDeployment(ctx, c, args, current)
			if err != nil {
				return err
			}
			promoted, err := c.Scheduler.PromoteDeploymentContext(ctx, ds.NewPromoteDeploymentParams().WithName(args[0]).WithID(idOf(d)))
			if err != nil {
				return err
			}
			return a.watchOrPrint(ctx, c, promoted.Payload, watch)
		}),
	}
	watch.add(cmd)
	return cmd
}

// newest and current select a deployment if no id is given, and hold the error if none matches.
var (
	newest  = deploymentChoice{func(*models.Deployment) bool { return true }, "environment %s has no deployments: create one with \"blox deployments create\""}
	current = deploymentChoice{func(d *models.Deployment) bool { return stateOf(d) == inProgress }, "environment %s has no deployment in progress"}
)

type deploymentChoice struct {
	matches  func(*models.Deployment) bool
	notFound string
}

// findDeployment returns the deployment that args select: an environment and optionally a prefix of an id.
func findDeployment(ctx context.Context, c *connect.Clients, args []string, otherwise deploymentChoice) (*models.Deployment, error) {
	list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(args[0]))
	if err != nil {
		return nil, err
	}
	if len(args) < 2 {
		for _, d := range list.Payload.Items {
			if otherwise.matches(d) {
				return d, nil
			}
		}
		return nil, fmt.Errorf(otherwise.notFound, args[0])
	}
	return findByID(args[1], "deployment of environment "+args[0], list.Payload.Items, idOf)
}

// findByID returns the item whose id is wanted or has it as a unique prefix.
func findByID[T any](wanted, what string, list []T, idOf func(T) string) (found T, err error) {
	wanted = strings.TrimSuffix(wanted, "…") // tables truncate ids with an ellipsis
	n := 0
	for _, one := range list {
		switch id := idOf(one); {
		case id == wanted:
			return one, nil
		case strings.HasPrefix(id, wanted):
			found = one
			n++
		}
	}
	switch {
	case n == 0:
		return found, fmt.Errorf("no %s has the id %s", what, wanted)
	case n > 1:
		return found, fmt.Errorf("%d %ss have an id that begins with %s: use a longer prefix", n, what, wanted)
	}
	return found, nil
}

func idOf(d *models.Deployment) string {
	if d.ID == nil {
		return ""
	}
	return d.ID.String()
}

// stateOf returns the rollout state. It derives the state of deployments that v0.3 recorded from their status.
func stateOf(d *models.Deployment) string {
	switch {
	case d.RolloutState != "":
		return d.RolloutState
	case text(d.Status) == "completed":
		return completed
	}
	return inProgress
}

func duration(d *models.Deployment) string {
	if d.CreatedAt == nil || d.FinishedAt == nil {
		return ""
	}
	return show.Duration(timeOf(d.FinishedAt).Sub(timeOf(d.CreatedAt)).Round(time.Millisecond))
}

func failureText(f *models.InstanceFailure) string {
	if f.Detail == "" {
		return text(f.Reason)
	}
	return text(f.Reason) + ": " + f.Detail
}
