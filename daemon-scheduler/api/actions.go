package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/status"
	"github.com/blox/blox/internal/httpserver"
)

// transition returns the environment after a change, or an error if its state forbids the change.
type transition func(environment.Environment) (environment.Environment, error)

// changeEnvironment applies change to the environment in the path. If change creates a deployment, its task definition
// must be ACTIVE. changeEnvironment records event if the stored record changes. Render is of the response.
func (h *handler) changeEnvironment(
	r *http.Request, event environment.Event, render renderer, change transition,
) (environment.Environment, error) {
	name := r.PathValue("name")
	if !environment.IsAddressableName(name) {
		return environment.Environment{}, environment.NotFound(name)
	}
	var before environment.Environment
	e, err := h.updateVerified(r, name, render, func(e environment.Environment) (environment.Environment, error) {
		before = e
		return change(e)
	})
	if err != nil || e.StoredVersion == before.StoredVersion {
		return e, err
	}
	event.Environment, event.Cluster = name, e.Cluster
	if d, ok := e.InProgress(); ok && event.Deployment == "" {
		event.Deployment = d.ID
	}
	d := e.Deployments[event.Deployment]
	event.TaskDefinition = d.TaskDefinition
	event.Changes = stateChanges(before, e, event.Deployment)
	if event.Action == environment.EventDeploymentPromoted {
		event.Reason = e.PromotionText(d)
	}
	h.record(r, event)
	return e, nil
}

// update applies change to the environment and removes deployments that never started a task. The engine trims the
// history too, but may be unable to write for a long time. Render is nil for requests whose response is not stored.
func (h *handler) update(
	ctx context.Context, name string, render renderer, change transition,
) (environment.Environment, error) {
	launches, err := h.Store.Launches(ctx, name)
	if err != nil {
		return environment.Environment{}, err
	}
	launched := map[string]bool{} // by deployment
	for _, l := range launches {
		launched[l.Deployment] = true
	}
	return h.Store.UpdateOnce(ctx, name, h.stored(ctx, render), func(
		e environment.Environment,
	) (environment.Environment, error) {
		next, err := change(e)
		if err != nil {
			return e, err
		}
		counts := sync.OnceValue(func() *status.Counts { return h.Status.Counts(e) }) // rarely needed
		return next.TrimUnstarted(func(id string) bool {
			tasks := counts()
			return tasks == nil || launched[id] || tasks.ByDeployment[id].Running+tasks.ByDeployment[id].Pending > 0
		}), nil
	})
}

// errUnverified means that a change creates a deployment whose task definition has not been verified.
var errUnverified = errors.New("the task definition has not been verified")

// updateVerified applies change like update. A deployment that change creates is stored only if ECS has its task
// definition as ACTIVE: otherwise it would stop tasks and start none.
func (h *handler) updateVerified(
	r *http.Request, name string, render renderer, change transition,
) (environment.Environment, error) {
	var verified environment.Deployment
	var of environment.Environment
	verify := func(e environment.Environment) (environment.Environment, error) {
		next, err := change(e)
		if err != nil {
			return e, err
		}
		d, created := createdDeployment(e, next)
		if created && d.TaskDefinition != verified.TaskDefinition {
			verified, of = d, e
			return e, errUnverified
		}
		return next, nil
	}
	for {
		e, err := h.updateWithTimeout(r, name, render, verify)
		if !errors.Is(err, errUnverified) {
			return e, err
		}
		if err := h.verifyTarget(r.Context(), of, verified); err != nil {
			return environment.Environment{}, err
		}
	}
}

// updateWithTimeout is update with a timeout of its own, which calls of ECS do not use up.
func (h *handler) updateWithTimeout(
	r *http.Request, name string, render renderer, change transition,
) (environment.Environment, error) {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	return h.update(ctx, name, render, change)
}

// createdDeployment returns the deployment that a change from e to next has created, if any.
func createdDeployment(e, next environment.Environment) (environment.Deployment, bool) {
	d, inProgress := next.InProgress()
	_, existed := e.Deployments[d.ID]
	return d, inProgress && !existed
}

// verifyTarget returns an error unless ECS has the deployment's task definition as ACTIVE.
func (h *handler) verifyTarget(ctx context.Context, e environment.Environment, d environment.Deployment) error {
	_, err := h.resolveTaskDefinition(ctx, e.Role(), e.Cluster, d.TaskDefinition)
	if errors.Is(err, environment.ErrTaskDefinitionInactive) || errors.Is(err, environment.ErrTaskDefinitionNotFound) {
		return environment.TargetUnusable(e.Name, d, err)
	}
	if err != nil {
		return fmt.Errorf("resolve the task definition of revision %d: %w", d.RevisionNumber(), err)
	}
	return nil
}

func (h *handler) pause(w http.ResponseWriter, r *http.Request) error {
	return h.respondChanged(w, r, environment.EventEnvironmentPaused, "environment paused",
		func(e environment.Environment) (environment.Environment, error) { return e.Pause(time.Now()) })
}

func (h *handler) resume(w http.ResponseWriter, r *http.Request) error {
	return h.respondChanged(w, r, environment.EventEnvironmentResumed, "environment resumed",
		environment.Environment.Resume)
}

// respondChanged changes the environment in the path, logs message and responds with the environment.
func (h *handler) respondChanged(
	w http.ResponseWriter, r *http.Request, action environment.EventAction, message string, change transition,
) error {
	e, err := h.changeEnvironment(r, environment.Event{Action: action}, h.renderEnvironment, change)
	if err != nil {
		return err
	}
	httpserver.RequestLog(h.Log, r).WithField("environment", e.Name).Info(message)
	return h.respond(w, r, e, h.renderEnvironment)
}

// rollback responds with the rollback's deployment: the one in progress, else a new one. With a revision, it responds
// with the deployment of that revision, which may be in effect already.
func (h *handler) rollback(w http.ResponseWriter, r *http.Request) error {
	revision, err := revisionParameter(r)
	if err != nil {
		return err
	}
	dryRun, err := boolParameter(r, "dryRun")
	if err != nil {
		return err
	}
	target := ""
	rollBack := rollbackTransition(revision, &target)
	if dryRun {
		return h.dryRun(w, r, rollBack, &target)
	}
	event := environment.Event{Action: environment.EventRollbackRequested}
	render := h.renderDeployment(&target)
	e, err := h.changeEnvironment(r, event, render, rollBack)
	if err != nil {
		return err
	}
	h.logChange(r, e, target, "environment rolled back")
	return h.respond(w, r, e, render)
}

// rollbackTransition returns the transition of a rollback to the numbered revision, or for 0 to an earlier deployment.
// It sets target to the id of the rollback's deployment.
func rollbackTransition(revision int, target *string) transition {
	id, now := uuid.NewString(), time.Now()
	return func(e environment.Environment) (environment.Environment, error) {
		if revision > 0 {
			next, d, err := e.RollbackTo(revision, id, now)
			*target = d.ID
			return next, err
		}
		next, err := e.Rollback(id, now)
		d, _ := next.InProgress()
		*target = d.ID
		return next, err
	}
}

func (h *handler) stopDeployment(w http.ResponseWriter, r *http.Request) error {
	kind, err := stopKind(r)
	if err != nil {
		return err
	}
	rollbackID, now := uuid.NewString(), time.Now()
	return h.changeDeployment(w, r, environment.EventDeploymentStopped, "deployment stopped",
		func(e environment.Environment, id string) (environment.Environment, error) {
			return e.Stop(id, kind, rollbackID, now)
		})
}

// changeDeployment changes the deployment in the path, logs message and responds with the deployment.
func (h *handler) changeDeployment(
	w http.ResponseWriter, r *http.Request, action environment.EventAction, message string,
	change func(environment.Environment, string) (environment.Environment, error),
) error {
	id := r.PathValue("id")
	event := environment.Event{Action: action, Deployment: id}
	render := h.renderDeployment(&id)
	e, err := h.changeEnvironment(r, event, render, func(e environment.Environment) (environment.Environment, error) {
		return change(e, id)
	})
	if err != nil {
		return err
	}
	h.logChange(r, e, id, message)
	return h.respond(w, r, e, render)
}

func (h *handler) logChange(r *http.Request, e environment.Environment, deployment, message string) {
	httpserver.RequestLog(h.Log, r).WithFields(logrus.Fields{"environment": e.Name, "deployment": deployment}).
		Info(message)
}

// renderDeployment returns the renderer of one deployment. Its id is read when the response is rendered.
func (h *handler) renderDeployment(id *string) renderer {
	return func(ctx context.Context, e environment.Environment) (any, error) {
		launches, err := h.Store.Launches(ctx, e.Name)
		if err != nil {
			return nil, err
		}
		return showDeployment(e, e.Deployments[*id], launches, h.Status.Counts(e)), nil
	}
}
