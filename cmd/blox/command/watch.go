package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// watchFlags are whether a deployment is followed, and for how long.
type watchFlags struct {
	on    bool
	limit time.Duration // 0: to its end
}

func (w *watchFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&w.on, "watch", "w", false, "follow the deployment to its end; the exit code tells how that was")
	w.addLimit(cmd)
}

func (w *watchFlags) addLimit(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&w.limit, "watch-for", 0, "give up watching after this `time`, as in 15m, with exit code 6 (default never)")
}

// watchOrPrint follows the deployment to its end where that is asked for, and shows it.
func (a *app) watchOrPrint(ctx context.Context, c *connect.Clients, d *models.Deployment, watch watchFlags) error {
	if !watch.on {
		return a.printDeployment(d)
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if watch.limit > 0 {
		limited, cancel = context.WithTimeout(ctx, watch.limit)
	}
	defer cancel()
	w := &watcher{clients: c, name: text(d.EnvironmentName), progress: &show.Progress{Out: a.Err, Style: a.style(a.Err)}}
	last, code, err := w.toTheEnd(limited, d)
	w.progress.End()
	again := fmt.Sprintf("It goes on; \"blox deployments watch %s\" follows it again.", w.name)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(a.Err, "Interrupted. "+again)
		return ctx.Err()
	case limited.Err() != nil && err != nil:
		fmt.Fprintf(a.Err, "Not over after %s. %s\n", watch.limit, again)
		code, err = exitInProgress, nil
	case err != nil:
		return err
	}
	if err := a.print(last, func(s show.Style) written { return deploymentRows(s, []*models.Deployment{last}) }); err != nil {
		return err
	}
	if code != exitDone {
		return &outcome{code}
	}
	return nil
}

// watcher follows the deployments of an environment.
type watcher struct {
	clients  *connect.Clients
	name     string
	progress *show.Progress
	paused   bool // as it was told last
}

// toTheEnd follows d, and what goes back from it. It returns the last of them as it was seen last, and the exit code that tells
// what became of d; an error, when that is not known.
func (w *watcher) toTheEnd(ctx context.Context, d *models.Deployment) (last *models.Deployment, code int, err error) {
	if last, err = w.follow(ctx, d); err != nil {
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
	if last, err = w.follow(ctx, back); err == nil && stateOf(last) == completed {
		code = exitRolledBack
	}
	return last, code, err
}

// follow shows how d goes on until it has ended, and returns it as it was seen last.
func (w *watcher) follow(ctx context.Context, d *models.Deployment) (*models.Deployment, error) {
	began := time.Now()
	defer w.progress.End()
	verb := "Deployment"
	if d.RollbackOf != "" {
		verb = "Going back: deployment"
	}
	w.progress.Say("%s %s of %s: %s", verb, idOf(d), w.name, (show.Style{}).ID(text(d.TaskDefinition)))
	w.tellCanary(ctx, d)
	told := map[string]bool{}
	away := false
	err := poll(ctx, func() (bool, error) {
		got, err := w.clients.Scheduler.GetDeploymentContext(ctx, ds.NewGetDeploymentParams().WithName(w.name).WithID(idOf(d)))
		if err != nil {
			if connect.Temporary(err) && !away && ctx.Err() == nil {
				w.progress.Warn("%s; waiting for it", firstLine(err))
			}
			away = true
			return false, err
		}
		d, away = got.Payload, false
		for _, failure := range d.Failures {
			line := (show.Style{}).ID(text(failure.ContainerInstance)) + ": " + failureText(failure)
			if !told[line] {
				told[line] = true
				w.progress.Warn("  failed on %s", line)
			}
		}
		w.step(d, w.environment(ctx), time.Since(began))
		return stateOf(d) != inProgress, nil
	})
	if err != nil {
		return d, err
	}
	w.progress.End()
	switch why := d.RolloutStateReason; stateOf(d) {
	case completed:
		w.progress.Say("Completed in %s.", tookOf(d))
	case stopped:
		w.progress.Warn("Stopped after %s. %s", tookOf(d), why)
	default:
		w.progress.Warn("Failed after %s. %s", tookOf(d), why)
	}
	return d, nil
}

// step shows the counts of the environment, which know of tasks that a rollback takes over, as long as they are about d; else
// those of d itself.
func (w *watcher) step(d *models.Deployment, e *models.Environment, elapsed time.Duration) {
	desired, running, pending, failed := d.DesiredCount, d.RunningCount, d.PendingCount, d.FailedCount
	if e != nil && (stateOf(d) == inProgress || stateOf(d) == completed && e.Status == "active") {
		desired, running, pending, failed = e.DesiredCount, e.RunningCount, e.PendingCount, e.FailedCount
	}
	if desired == nil || running == nil {
		return // while the copy of the clusters is not current
	}
	news := "running"
	if pending != nil && *pending > 0 {
		news += fmt.Sprintf(", %d pending", *pending)
	}
	if failed != nil && *failed > 0 {
		news += fmt.Sprintf(", %d failed", *failed)
	}
	if d.BakeStartedAt != nil && stateOf(d) == inProgress {
		news += ", baking"
	}
	w.progress.Step(*running, *desired, news, show.Duration(elapsed.Truncate(time.Second)))
}

// environment is what is so of the environment, nil when that is not known; a pause is told, as nothing happens then.
func (w *watcher) environment(ctx context.Context) *models.Environment {
	got, err := w.clients.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(w.name))
	if err != nil {
		return nil // the next look at the deployment will tell
	}
	if e := got.Payload; e.Paused != w.paused && e.PausedBy == "" {
		if w.paused = e.Paused; w.paused {
			w.progress.Warn("  the environment is paused: nothing happens until \"blox environments resume %s\"", w.name)
		} else {
			w.progress.Say("  the environment is no longer paused")
		}
	}
	return got.Payload
}

// tellCanary says that somebody has to let the deployment go on. Not knowing is no reason to stop watching.
func (w *watcher) tellCanary(ctx context.Context, d *models.Deployment) {
	if d.Promoted || d.RollbackOf != "" || stateOf(d) != inProgress {
		return
	}
	list, err := w.clients.Scheduler.ListRevisionsContext(ctx, ds.NewListRevisionsParams().WithName(w.name))
	if err != nil {
		return
	}
	for _, r := range list.Payload.Items {
		if r.Revision != nil && *r.Revision == d.Revision && r.DeploymentConfiguration != nil && r.DeploymentConfiguration.Canary != nil {
			w.progress.Say("It begins with a canary (%s) and then waits for: blox deployments promote %s", canaryOf(r.DeploymentConfiguration.Canary), w.name)
		}
	}
}

// rollbackOf is the deployment that was made to undo d; nil when there is none.
func rollbackOf(ctx context.Context, c *connect.Clients, d *models.Deployment) (*models.Deployment, error) {
	list, err := c.Scheduler.ListDeploymentsContext(ctx, ds.NewListDeploymentsParams().WithName(text(d.EnvironmentName)))
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

func firstLine(err error) string {
	var call *connect.CallError
	if errors.As(err, &call) {
		return call.Summary()
	}
	return err.Error()
}
