package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// watchFlags control whether and for how long a deployment is watched.
type watchFlags struct {
	on    bool
	limit time.Duration // 0: no limit
}

func (w *watchFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&w.on, "watch", "w", false, "watch the deployment until it ends; the exit code is the outcome")
	w.addLimit(cmd)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if w.limit != 0 && !w.on {
			return &usageError{cmd, errors.New("--watch-for needs --watch")}
		}
		return nil
	}
}

func (w *watchFlags) addLimit(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&w.limit, "watch-for", 0,
		"stop watching after this `duration`, such as 15m, with exit code 6 (default: no limit)")
}

// watchOrPrint watches the deployment if watch is on, and prints it.
func (a *app) watchOrPrint(ctx context.Context, c *connect.Clients, d *models.Deployment, watch watchFlags) error {
	if !watch.on {
		return a.printDeployment(d)
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if watch.limit > 0 {
		limited, cancel = context.WithTimeout(ctx, watch.limit)
	}
	defer cancel()
	w := &watcher{clients: c, name: conv.Value(d.EnvironmentName),
		progress: &show.Progress{Out: a.Err, Style: a.style(a.Err)}}
	last, code, err := w.watchWithRollback(limited, d)
	w.progress.End()
	hint := fmt.Sprintf("The deployment continues; \"blox deployments watch %s\" watches it again.", w.name)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(a.Err, "Interrupted. "+hint)
		return ctx.Err()
	case limited.Err() != nil && err != nil:
		fmt.Fprintf(a.Err, "Still in progress after %s. %s\n", watch.limit, hint)
		code = exitInProgress
	case err != nil:
		return err
	}
	err = a.print(last, func(s show.Style) printable {
		return deploymentRows(s, []*models.Deployment{last})
	})
	if err != nil {
		return err
	}
	if code != exitDone {
		return &outcome{code}
	}
	return nil
}

// watcher watches the deployments of an environment.
type watcher struct {
	clients  *connect.Clients
	name     string
	progress *show.Progress
	paused   bool // as last printed
}

// watchWithRollback watches d and the rollback that follows it. It returns the last state of the last of them and the
// exit code for the outcome of d, or an error if the outcome is unknown.
func (w *watcher) watchWithRollback(
	ctx context.Context, d *models.Deployment,
) (last *models.Deployment, code int, err error) {
	if last, err = w.watch(ctx, d); err != nil {
		return last, exitError, err
	}
	switch stateOf(last) {
	case completed:
		return last, exitDone, nil
	case stopped:
		code = exitStopped
	default:
		code = exitFailed
	}
	back, err := rollbackOf(ctx, w.clients, last)
	if back == nil || err != nil {
		return last, code, err
	}
	if last, err = w.watch(ctx, back); err == nil && stateOf(last) == completed {
		code = exitRolledBack
	}
	return last, code, err
}

// watch prints the progress of d until it ends and returns its last state.
func (w *watcher) watch(ctx context.Context, d *models.Deployment) (*models.Deployment, error) {
	began := time.Now()
	defer w.progress.End()
	label := "Deployment"
	if d.RollbackOf != "" {
		label = "Rollback: deployment"
	}
	w.progress.Info("%s %s of %s: %s", label, idOf(d), w.name, (show.Style{}).ID(conv.Value(d.TaskDefinition)))
	w.announceCanary(ctx, d)
	printed := map[string]bool{}
	unavailable := false
	err := poll(ctx, func() (bool, error) {
		got, err := w.clients.Scheduler.GetDeploymentContext(ctx,
			ds.NewGetDeploymentParams().WithName(w.name).WithID(idOf(d)))
		if err != nil {
			if connect.Temporary(err) && !unavailable && ctx.Err() == nil {
				w.progress.Warn("%s; retrying", summary(err))
			}
			unavailable = true
			return false, err
		}
		d = got.Payload
		unavailable = false
		w.printFailures(d, printed)
		w.showProgress(d, w.readEnvironment(ctx), time.Since(began))
		return !isInProgress(d), nil
	})
	if err != nil {
		return d, err
	}
	w.progress.End()
	w.printOutcome(d)
	return d, nil
}

// printFailures prints the failures of d that are not in printed, and adds them to it.
func (w *watcher) printFailures(d *models.Deployment, printed map[string]bool) {
	for _, failure := range d.Failures {
		line := (show.Style{}).ID(conv.Value(failure.ContainerInstance)) + ": " + failureText(failure)
		if !printed[line] {
			printed[line] = true
			w.progress.Warn("  failed on %s", line)
		}
	}
}

func (w *watcher) printOutcome(d *models.Deployment) {
	switch reason := d.RolloutStateReason; stateOf(d) {
	case completed:
		w.progress.Info("Completed in %s.", duration(d))
	case stopped:
		w.progress.Warn("Stopped after %s. %s", duration(d), reason)
	default:
		w.progress.Warn("Failed after %s. %s", duration(d), reason)
	}
}

// taskCounts are the counts of a deployment or an environment; nil is unknown.
type taskCounts struct{ desired, running, pending, failed, outdated *int64 }

// countsOfRollout returns the counts of the environment while they describe d, since they include the tasks that a
// rollback adopts; otherwise those of d. The environment may be nil.
func countsOfRollout(d *models.Deployment, e *models.Environment) taskCounts {
	if e != nil && (isInProgress(d) || stateOf(d) == completed && e.Status == "active") {
		return taskCounts{e.DesiredCount, e.RunningCount, e.PendingCount, e.FailedCount, e.OutdatedCount}
	}
	return taskCounts{d.DesiredCount, d.RunningCount, d.PendingCount, d.FailedCount, nil}
}

func (w *watcher) showProgress(d *models.Deployment, e *models.Environment, elapsed time.Duration) {
	counts := countsOfRollout(d, e)
	if counts.desired == nil || counts.running == nil {
		return // unknown while the scheduler's cluster state is stale
	}
	w.progress.Update(*counts.running, *counts.desired, progressText(d, counts),
		show.Duration(elapsed.Truncate(time.Second)))
}

// progressText describes the instances of a rollout, after their numbers: "updated, 5 on the previous revision, 1
// pending".
func progressText(d *models.Deployment, counts taskCounts) string {
	text, previous := "updated", "on the previous revision"
	if d.ForceNewDeployment { // which may replace tasks by others of the same revision
		text, previous = "replaced", "of the previous deployment"
	}
	for _, c := range []struct {
		count *int64
		text  string
	}{
		{counts.outdated, previous}, {counts.pending, "pending"}, {counts.failed, "failed"},
	} {
		if n := conv.Value(c.count); n > 0 {
			text += fmt.Sprintf(", %d %s", n, c.text)
		}
	}
	if c := d.CanaryProgress; c != nil && c.Steps > 1 {
		text += fmt.Sprintf(", step %d of %d", c.Step, c.Steps)
	}
	if stateOf(d) == waiting && conv.Value(counts.running) > 0 && conv.Value(counts.pending) == 0 {
		text += ", waiting for promotion"
	}
	if d.BakeStartedAt != nil && isInProgress(d) {
		text += ", baking"
	}
	return text
}

// environmentProgress describes the instances of an environment: "3 of 3 running", or the progress of its rollout. It
// is empty if the counts are unknown.
func environmentProgress(e *models.Environment) string {
	if e.DesiredCount == nil || e.RunningCount == nil {
		return ""
	}
	text := "running"
	if e.Status == "deploying" {
		d := &models.Deployment{RolloutState: inProgress}
		if hasCondition(e, "WaitingForPromotion") {
			d.RolloutState = waiting
		}
		text = progressText(d, countsOfRollout(d, e))
	}
	return fmt.Sprintf("%d of %d %s", *e.RunningCount, *e.DesiredCount, text)
}

// readEnvironment returns the environment, or nil if it cannot be read. It prints when the environment is paused or
// resumed.
func (w *watcher) readEnvironment(ctx context.Context) *models.Environment {
	got, err := w.clients.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(w.name))
	if err != nil {
		return nil // reading the deployment reports the error
	}
	if e := got.Payload; e.Paused != w.paused && e.PausedBy == "" {
		if w.paused = e.Paused; w.paused {
			w.progress.Warn("  the environment is paused; resume it with \"blox environments resume %s\"", w.name)
		} else {
			w.progress.Info("  the environment is no longer paused")
		}
	}
	return got.Payload
}

// announceCanary prints that the deployment will wait for its promotion. It ignores errors, so that watching continues.
func (w *watcher) announceCanary(ctx context.Context, d *models.Deployment) {
	if d.Promoted || d.RollbackOf != "" || !isInProgress(d) {
		return
	}
	list, err := w.clients.Scheduler.ListRevisionsContext(ctx, ds.NewListRevisionsParams().WithName(w.name))
	if err != nil {
		return
	}
	for _, r := range list.Payload.Items {
		canary := conv.Value(r.DeploymentConfiguration).Canary
		switch {
		case r.Revision == nil || *r.Revision != d.Revision || canary == nil:
		case len(canary.Steps) > 0:
			w.progress.Info("The deployment starts with a canary (%s); \"blox deployments promote %s\" promotes its step.",
				canaryOf(canary), w.name)
		default:
			w.progress.Info("The deployment starts with a canary (%s), then waits for \"blox deployments promote %s\".",
				canaryOf(canary), w.name)
		}
	}
}

// rollbackOf returns the rollback of d, or nil.
func rollbackOf(ctx context.Context, c *connect.Clients, d *models.Deployment) (*models.Deployment, error) {
	list, err := c.Scheduler.ListDeploymentsContext(ctx,
		ds.NewListDeploymentsParams().WithName(conv.Value(d.EnvironmentName)))
	if err != nil {
		return nil, err
	}
	for _, other := range list.Payload.Items {
		if other.RollbackOf == idOf(d) {
			return other, nil
		}
	}
	return nil, nil
}

func summary(err error) string {
	var call *connect.CallError
	if errors.As(err, &call) {
		return call.Summary()
	}
	return err.Error()
}
