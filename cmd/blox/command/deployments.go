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

// The states of a rollout, as the API spells them.
const (
	inProgress = "IN_PROGRESS"
	completed  = "COMPLETED"
	failed     = "FAILED"
	stopped    = "STOPPED"
)

func newDeploymentsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "deployments", Aliases: []string{"deployment", "deploy", "dep"},
		Short: "Put an environment into effect, and follow how that goes",
		Long: `A deployment puts the newest revision of an environment into effect: a task is started on every one of its instances,
and takes the place of what an earlier deployment started there. Afterwards it is kept that way: instances that
join get a task, and tasks that die are replaced.

ID is a deployment's id, or so much of its beginning that it is no other's.`,
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
		Long: `Deploy the newest revision of an environment. With --watch, follow it to its end; the exit code then tells of that:
0 completed, 3 failed, 4 stopped, 5 the deployment before it is back, 6 not over after --watch-for, 130 interrupted.

Each deployment is made with the environment's deployment token, which changes with every update and is good for one
deployment. It is looked up unless --token says one: then nothing is deployed if the environment has changed since
that was read. What has been deployed already is deployed once more with --force-new-deployment: every task is
replaced.`,
		Example: `  blox deployments create web-agent --watch
  blox deployments create web-agent --watch --watch-for 15m && echo all well`,
		Args: names("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			if force {
				var err error
				if token, err = renew(ctx, c, args[0], token); err != nil {
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
	cmd.Flags().StringVar(&token, "token", "", "the deployment `token` as it was read before (default the present one)")
	cmd.Flags().BoolVar(&force, "force-new-deployment", false, "deploy also when nothing has changed since the last time")
	watch.add(cmd)
	return cmd
}

// renew makes a new revision of the environment that wants the same, and returns the token of that.
func renew(ctx context.Context, c *connect.Clients, name, token string) (string, error) {
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

// createDeployment deploys the environment, or only tells what that would do; an empty token is looked up.
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
		return nil, nothingNew(ctx, c, present, err)
	}
	if err != nil {
		return nil, err
	}
	return made.Payload, nil
}

// nothingNew is err, that the token was used, for somebody who knows nothing of tokens.
func nothingNew(ctx context.Context, c *connect.Clients, e *models.Environment, err error) error {
	list, listing := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(text(e.Name)))
	if listing != nil {
		return err
	}
	for _, d := range list.Payload.Items {
		if d.Revision != e.Revision || d.RollbackOf != "" {
			continue
		}
		name, change := text(e.Name), fmt.Sprintf("\n\"blox environments update %s\" changes it", text(e.Name))
		force := fmt.Sprintf("; \"blox deployments create %s --force-new-deployment\" replaces every task though nothing has changed.", name)
		switch {
		case stateOf(d) == inProgress:
			return fmt.Errorf("environment %s is being put into effect as it is, by deployment %s\n\"blox deployments watch %s\" follows that", name, idOf(d), name)
		case d == list.Payload.Items[0] && stateOf(d) == completed:
			return fmt.Errorf("there is nothing new: environment %s is in effect as it is, by deployment %s%s%s", name, idOf(d), change, force)
		}
		return fmt.Errorf("there is nothing new: revision %d of environment %s was deployed already, and deployment %s is %s%s%s", e.Revision, name,
			idOf(d), stateOf(d), change, "; \"blox deployments create "+name+" --force-new-deployment\" tries it once more.")
	}
	return err
}

func newDeploymentsPlan(a *app) *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use: "plan ENVIRONMENT", Short: "Tell what a deployment would start and stop, and why, and do nothing",
		Long: `Tell what a deployment would start and stop on each instance, and why, and do nothing. Steps of one WAVE happen
together; a later one waits until the tasks of those before it run.`,
		Args: names("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			planned, err := createDeployment(ctx, c, args[0], token, true)
			if err != nil {
				return err
			}
			err = a.list(planned, "There is nothing to do.", func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("WAVE", "ACTION", "INSTANCE~", "TASK~", "REASON~")}
				for _, step := range planned.Plan {
					rows.Add(show.Count(step.Wave), text(step.Action), s.ID(text(step.ContainerInstance)), s.ID(step.Task), text(step.Reason))
				}
				return rows
			})
			if err == nil && len(planned.Plan) > 0 && a.format == string(show.Table) {
				fmt.Fprintln(a.Err, summaryOf(planned))
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&token, "token", "", "the deployment `token` as it was read before (default the present one)")
	return cmd
}

// summaryOf is "agent:2 on web-agent, in 8 waves: 4 to start, 4 to stop".
func summaryOf(planned *models.Deployment) string {
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
		Args: names("ENVIRONMENT"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.list(list.Payload, "There are no deployments. \"blox deployments create "+args[0]+"\" makes one.", func(s show.Style) *show.Rows {
				return deploymentRows(s, list.Payload.Items)
			})
		}),
	}
}

func deploymentRows(s show.Style, list []*models.Deployment) *show.Rows {
	rows := &show.Rows{Columns: show.Columns("ID", "STATE", "TASK DEFINITION~", "REVISION", "DESIRED", "RUNNING", "PENDING", "FAILED", "CREATED", "TOOK", "WHY~", "ROLLBACK OF+")}
	for _, d := range list {
		why := d.RolloutStateReason
		if why == "" && d.RollbackOf != "" {
			why = "goes back from " + d.RollbackOf
		}
		rows.Add(idOf(d), stateOf(d), s.ID(text(d.TaskDefinition)), number(d.Revision), show.Count(d.DesiredCount), show.Count(d.RunningCount),
			show.Count(d.PendingCount), show.Count(d.FailedCount), show.Time(when(d.CreatedAt)), tookOf(d), why, d.RollbackOf)
	}
	return rows
}

func newDeploymentsDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "describe ENVIRONMENT [ID]", Aliases: []string{"get", "show"}, Short: "Show one deployment, the newest unless an id is given",
		Args: names("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
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
	return a.print(d, func(s show.Style) written {
		f := &show.Fields{}
		f.Add("Id", idOf(d))
		f.Add("Environment", text(d.EnvironmentName))
		f.Add("State", stateOf(d))
		f.Add("Why", d.RolloutStateReason)
		f.Add("Task definition", s.ID(text(d.TaskDefinition)))
		if d.Revision > 0 {
			f.Add("Revision", number(d.Revision))
		}
		f.Add("Goes back from", d.RollbackOf)
		if d.DesiredCount != nil {
			f.Add("Instances", fmt.Sprintf("%d desired, %s running, %s pending, %s failed", *d.DesiredCount, show.Count(d.RunningCount),
				show.Count(d.PendingCount), show.Count(d.FailedCount)))
		}
		if d.FailedTasks > 0 {
			f.Add("Failures so far", number(d.FailedTasks))
		}
		if d.Promoted {
			f.Add("Promoted", "yes")
		}
		f.Add("Created", show.Time(when(d.CreatedAt)))
		f.Add("Baking since", show.Time(when(d.BakeStartedAt)))
		f.Add("Ended", show.Time(when(d.FinishedAt)))
		f.Add("Took", tookOf(d))
		for _, failure := range d.Failures {
			f.Add("Failed on", s.ID(text(failure.ContainerInstance))+": "+failureText(failure))
		}
		return f
	})
}

func newDeploymentsWatch(a *app) *cobra.Command {
	watch := watchFlags{on: true}
	cmd := &cobra.Command{
		Use: "watch ENVIRONMENT [ID]", Short: "Follow a deployment to its end, the newest unless an id is given",
		Long: `Follow a deployment to its end, the newest one unless an id is given. Where it fails is told as it happens. If it is
rolled back, that is followed too. The exit code tells how it ended: 0 completed, 3 failed, 4 stopped, 5 the
deployment before it is back, 6 not over after --watch-for, 130 interrupted; the deployment itself goes on in the
last two cases.`,
		Args: names("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
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
		Use: "stop ENVIRONMENT [ID]", Short: "Stop the deployment in progress, and go back or leave things as they are",
		Long: `Stop the deployment that is in progress, or the one with that id. With --type ROLLBACK the last completed deployment
comes back, and that new deployment is what --watch follows; with ABORT things are left as they are, and the
environment is paused until it is resumed or deployed again.`,
		Example: `  blox deployments stop web-agent --watch
  blox deployments stop web-agent --type ABORT`,
		Args: names("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		given := strings.ToUpper(kind)
		if given != "ROLLBACK" && given != "ABORT" {
			return &usageError{cmd, fmt.Errorf("--type %q: not ROLLBACK or ABORT", kind)}
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
	cmd.Flags().StringVar(&kind, "type", "ROLLBACK", "what follows: ROLLBACK or ABORT")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions([]string{"ROLLBACK", "ABORT"}, cobra.ShellCompDirectiveNoFileComp))
	watch.add(cmd)
	return cmd
}

func newDeploymentsPromote(a *app) *cobra.Command {
	var watch watchFlags
	cmd := &cobra.Command{
		Use: "promote ENVIRONMENT [ID]", Short: "Let the deployment in progress go on after its canary",
		Args: names("ENVIRONMENT", "[ID]"), ValidArgsFunction: a.environmentNames(deploymentIDs),
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

// newest and current are which deployment is meant when none is named, and what is said when there is none.
var (
	newest  = choice{func(*models.Deployment) bool { return true }, "environment %s has no deployment yet: \"blox deployments create\" makes one"}
	current = choice{func(d *models.Deployment) bool { return stateOf(d) == inProgress }, "no deployment of environment %s is in progress"}
)

type choice struct {
	is   func(*models.Deployment) bool
	none string
}

// findDeployment is the deployment that args, an environment and perhaps the beginning of an id, mean.
func findDeployment(ctx context.Context, c *connect.Clients, args []string, otherwise choice) (*models.Deployment, error) {
	list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(args[0]))
	if err != nil {
		return nil, err
	}
	if len(args) < 2 {
		for _, d := range list.Payload.Items {
			if otherwise.is(d) {
				return d, nil
			}
		}
		return nil, fmt.Errorf(otherwise.none, args[0])
	}
	return findByID(args[1], "deployment of environment "+args[0], list.Payload.Items, idOf)
}

// findByID is the one of list whose id is, or begins with, wanted.
func findByID[T any](wanted, what string, list []T, idOf func(T) string) (found T, err error) {
	wanted = strings.TrimSuffix(wanted, "…") // as it stands in a table that was cut
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
		return found, fmt.Errorf("there is no %s with the id %s", what, wanted)
	case n > 1:
		return found, fmt.Errorf("the ids of %d %ss begin with %s: give more of it", n, what, wanted)
	}
	return found, nil
}

func idOf(d *models.Deployment) string {
	if d.ID == nil {
		return ""
	}
	return d.ID.String()
}

// stateOf is what became of the deployment; of one of v0.3, which knows no rollout states, as far as it tells.
func stateOf(d *models.Deployment) string {
	switch {
	case d.RolloutState != "":
		return d.RolloutState
	case text(d.Status) == "completed":
		return completed
	}
	return inProgress
}

func tookOf(d *models.Deployment) string {
	if d.CreatedAt == nil || d.FinishedAt == nil {
		return ""
	}
	return show.Duration(when(d.FinishedAt).Sub(when(d.CreatedAt)).Round(time.Millisecond))
}

func failureText(f *models.InstanceFailure) string {
	if f.Detail == "" {
		return text(f.Reason)
	}
	return text(f.Reason) + ": " + f.Detail
}
