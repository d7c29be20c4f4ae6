package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
)

// launchPollInterval is the time between reads of a deleted environment's open launches.
const launchPollInterval = 250 * time.Millisecond

// deleteEnvironment responds once no StartTask call for the environment can be in flight.
func (h *handler) deleteEnvironment(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if !environment.IsAddressableName(name) {
		writeEmpty(w)
		return nil
	}
	stopTasks, err := boolParameter(r, "stopTasks")
	if err != nil {
		return err
	}
	if stopTasks {
		if err := h.requestDeletion(r, name); err != nil {
			return err
		}
		writeEmpty(w)
		return nil
	}
	if err := h.deleteRecord(r, name); err != nil {
		return err
	}
	if err := h.awaitLaunches(r.Context(), name); err != nil {
		return fmt.Errorf("wait for launches of environment %s: %w", name, err)
	}
	writeEmpty(w)
	return nil
}

// deleteRecord deletes the environment and leaves its tasks running. It frees an environment whose deletion with its
// tasks does not end.
func (h *handler) deleteRecord(r *http.Request, name string) error {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	e, getErr := h.Store.Get(ctx, name)
	if err := h.Store.Delete(ctx, name); err != nil {
		return err
	}
	if getErr == nil {
		h.record(r, environment.Event{
			Action: environment.EventEnvironmentDeleted, Environment: name, Cluster: e.Cluster,
		})
		httpserver.RequestLog(h.Log, r).WithField("environment", name).Info("environment deleted")
	}
	return nil
}

// requestDeletion marks the environment as deleting. The engine stops its tasks and deletes it afterwards.
func (h *handler) requestDeletion(r *http.Request, name string) error {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	var before environment.Environment
	e, err := h.update(ctx, name, nil, func(e environment.Environment) (environment.Environment, error) {
		before = e
		return e.Delete(time.Now()), nil
	})
	if err != nil && !errors.Is(err, environment.ErrNotFound) {
		return err
	}
	if err == nil && !before.IsDeleting() {
		h.record(r, environment.Event{
			Action: environment.EventEnvironmentDeletionRequested, Environment: name, Cluster: e.Cluster,
			Changes: stateChanges(before, e, ""),
		})
		httpserver.RequestLog(h.Log, r).WithField("environment", name).Info("environment deletion requested")
	}
	return nil
}

// awaitLaunches waits until no StartTask call for a deleted environment can be in flight. The engine announces no more
// launches for it, and an open launch allows calls until its NotAfter. It waits at most LaunchWindow, because a later
// NotAfter comes from a wrong clock.
func (h *handler) awaitLaunches(ctx context.Context, name string) error {
	limit := time.Now().Add(environment.LaunchWindow)
	for {
		open, err := h.hasOpenLaunch(ctx, name, limit)
		if err != nil || !open {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(launchPollInterval):
		}
	}
}

// hasOpenLaunch reports whether a launch allows StartTask calls now and the limit is not reached.
func (h *handler) hasOpenLaunch(ctx context.Context, name string, limit time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	launches, err := h.Store.Launches(ctx, name)
	if err != nil {
		return false, err
	}
	now := time.Now()
	for _, l := range launches {
		if l.State == environment.LaunchOpen && now.Before(l.NotAfter) && now.Before(limit) {
			return true, nil
		}
	}
	return false, nil
}
