package api

import (
	"context"
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

// boolParameter reads a query parameter that is true or false; false if it is missing.
func boolParameter(r *http.Request, name string) (bool, error) {
	switch given := r.URL.Query().Get(name); given {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, &invalid{fmt.Sprintf("Invalid %s %.100q: must be true or false", name, given)}
	}
}

// record records the event of a user's request.
func (h *handler) record(event environment.Event) {
	event.LastSeenAt = time.Now()
	h.RecordEvent(event)
}

// change makes one of the environment in the path, and takes it down as a event when it was not so before.
func (h *handler) change(r *http.Request, as environment.Event, how func(environment.Environment) (environment.Environment, error)) (environment.Environment, error) {
	name := r.PathValue("name")
	if !environment.IsAddressableName(name) {
		return environment.Environment{}, environment.NotFound(name)
	}
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	before := int64(0)
	e, err := h.update(ctx, name, func(e environment.Environment) (environment.Environment, error) {
		before = e.StoredVersion
		return how(e)
	})
	if err == nil && e.StoredVersion != before {
		as.Environment = name
		if d, is := e.InProgress(); is && as.Deployment == "" {
			as.Deployment = d.ID
		}
		as.TaskDefinition = e.Deployments[as.Deployment].TaskDefinition
		h.record(as)
	}
	return e, err
}

// update has how change the environment, which forgets what was never started: the engine, which trims the history, may
// not come to write for long.
func (h *handler) update(ctx context.Context, name string, how func(environment.Environment) (environment.Environment, error)) (environment.Environment, error) {
	launches, err := h.Store.Launches(ctx, name)
	if err != nil {
		return environment.Environment{}, err
	}
	launched := map[string]bool{} // deployments
	for _, l := range launches {
		launched[l.Deployment] = true
	}
	return h.Store.Update(ctx, name, func(e environment.Environment) (environment.Environment, error) {
		next, err := how(e)
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

func (h *handler) pause(w http.ResponseWriter, r *http.Request) error {
	return h.changed(w, r, environment.EventEnvironmentPaused, environment.Environment.Pause)
}

func (h *handler) resume(w http.ResponseWriter, r *http.Request) error {
	return h.changed(w, r, environment.EventEnvironmentResumed, environment.Environment.Resume)
}

// changed answers with the environment as it has become.
func (h *handler) changed(w http.ResponseWriter, r *http.Request, as environment.EventAction, how func(environment.Environment) (environment.Environment, error)) error {
	e, err := h.change(r, environment.Event{Action: as}, how)
	if err != nil {
		return err
	}
	h.Log.WithField("environment", e.Name).Infof("environment %s", as)
	httpserver.JSON(w, http.StatusOK, h.showEnvironment(e))
	return nil
}

// rollback answers with the deployment that goes back: a new one, unless one is in progress already.
func (h *handler) rollback(w http.ResponseWriter, r *http.Request) error {
	id, now := uuid.NewString(), time.Now()
	e, err := h.change(r, environment.Event{Action: environment.EventRollbackRequested}, func(e environment.Environment) (environment.Environment, error) {
		return e.Rollback(id, now)
	})
	if err != nil {
		return err
	}
	if d, ok := e.InProgress(); ok {
		id = d.ID
	}
	return h.changedOne(w, r, e, id, "environment rolled back")
}

func (h *handler) stopDeployment(w http.ResponseWriter, r *http.Request) error {
	kind := environment.StopRollback
	switch given := r.URL.Query().Get("type"); given {
	case "", string(environment.StopRollback):
	case string(environment.StopAbort):
		kind = environment.StopAbort
	default:
		return errStopType
	}
	next, now := uuid.NewString(), time.Now()
	return h.changedDeployment(w, r, environment.EventDeploymentStopped, func(e environment.Environment, id string) (environment.Environment, error) {
		return e.Stop(id, kind, next, now)
	})
}

func (h *handler) promoteDeployment(w http.ResponseWriter, r *http.Request) error {
	return h.changedDeployment(w, r, environment.EventDeploymentPromoted, environment.Environment.Promote)
}

// changedDeployment answers with the deployment in the path as it has become.
func (h *handler) changedDeployment(w http.ResponseWriter, r *http.Request, as environment.EventAction, how func(environment.Environment, string) (environment.Environment, error)) error {
	id := r.PathValue("id")
	e, err := h.change(r, environment.Event{Action: as, Deployment: id}, func(e environment.Environment) (environment.Environment, error) {
		return how(e, id)
	})
	if err != nil {
		return err
	}
	return h.changedOne(w, r, e, id, "deployment "+string(as))
}

// changedOne answers with one deployment of an environment as it has become.
func (h *handler) changedOne(w http.ResponseWriter, r *http.Request, e environment.Environment, id, message string) error {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	launches, err := h.Store.Launches(ctx, e.Name)
	if err != nil {
		return err
	}
	h.Log.WithFields(logrus.Fields{"environment": e.Name, "deployment": id}).Info(message)
	httpserver.JSON(w, http.StatusOK, showDeployment(e, e.Deployments[id], launches, h.Status.Counts(e)))
	return nil
}
