package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// updateEnvironment creates a revision, unless the body changes nothing. Every change renews the token, so the store
// accepts the update only if the environment has not changed since it was read.
func (h *handler) updateEnvironment(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("deploymentToken")
	if err := environment.CheckToken(token); err != nil {
		return err
	}
	dryRun, err := boolParameter(r, "dryRun")
	if err != nil {
		return err
	}
	e, err := h.getForUpdate(r, token)
	if err != nil {
		return err
	}
	request, err := readPatch(r.Body, e)
	if err != nil {
		return err
	}
	if err := checkSpec(request); err != nil {
		return err
	}
	if request.Role == "" && e.Role().IsSet() { // own credentials may be of another account
		if _, err := h.resolveCluster(r.Context(), environment.Role{}, e.Cluster); err != nil {
			return err
		}
	}
	spec, err := h.resolveSpec(r.Context(), e.Cluster, request)
	if err != nil {
		return err
	}
	if dryRun {
		return h.respondUpdateDryRun(w, e, spec)
	}
	before := e
	e, err = h.storeSpec(r, e.Name, spec, token)
	if err != nil {
		return err
	}
	if e.LatestRevision().Number == before.LatestRevision().Number {
		return h.respond(w, r, e, h.renderEnvironment)
	}
	h.recordRevision(r, before, e)
	httpserver.RequestLog(h.Log, r).WithFields(logrus.Fields{
		"environment": e.Name, "revision": e.LatestRevision().Number, "taskDefinition": spec.TaskDefinition,
	}).Info("environment updated")
	return h.respond(w, r, e, h.renderEnvironment)
}

// respondUpdateDryRun responds with the environment as it would be with spec. Its token permits nothing, unless spec
// changes nothing.
func (h *handler) respondUpdateDryRun(w http.ResponseWriter, e environment.Environment, spec environment.Spec) error {
	updated, err := e.Update(spec, e.Token, "", time.Now())
	if err != nil {
		return err
	}
	updated.StoredVersion = 0 // nothing is cached for it
	httpserver.JSON(w, http.StatusOK, h.showEnvironment(updated))
	return nil
}

// getForUpdate returns the environment in the path if token permits an update.
func (h *handler) getForUpdate(r *http.Request, token string) (environment.Environment, error) {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	e, err := h.get(ctx, r.PathValue("name"))
	if err != nil {
		return e, err
	}
	return e, e.CheckUpdate(token)
}

// storeSpec adds a revision with spec. Its timeout starts after the calls of ECS, which may take long.
func (h *handler) storeSpec(
	r *http.Request, name string, spec environment.Spec, token string,
) (environment.Environment, error) {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	nextToken, now := uuid.NewString(), time.Now()
	return h.Store.UpdateOnce(ctx, name, h.stored(ctx, h.renderEnvironment),
		func(e environment.Environment) (environment.Environment, error) {
			return e.Update(spec, token, nextToken, now)
		})
}

// checkSpec validates what needs no call of ECS, so that a caller's error does not depend on ECS's state.
func checkSpec(request *models.UpdateEnvironmentRequest) error {
	return validate(nil, specFromRequest(request).Validate(nil)...)
}

// resolveSpec returns the request's spec with the resolved task definition, and validates it against that.
func (h *handler) resolveSpec(
	ctx context.Context, clusterARN string, request *models.UpdateEnvironmentRequest,
) (environment.Spec, error) {
	spec := specFromRequest(request)
	if problems := spec.Role.Validate(clusterARN); len(problems) > 0 { // before calls that assume it
		return spec, validate(nil, problems...)
	}
	definition, err := h.resolveTaskDefinition(ctx, spec.Role, clusterARN, spec.TaskDefinition)
	if err != nil {
		return spec, fmt.Errorf("resolve the task definition: %w", err)
	}
	spec.TaskDefinition = definition.ARN
	return spec, validate(nil, spec.Validate(&definition)...)
}

// resolveTaskDefinition returns the task definition that a user has given for the cluster with that ARN.
func (h *handler) resolveTaskDefinition(
	ctx context.Context, role environment.Role, clusterARN, given string,
) (environment.TaskDefinition, error) {
	if err := environment.CheckPlace(given, clusterARN); err != nil { // before the call
		return environment.TaskDefinition{}, err
	}
	definition, err := h.Resolver(role, clusterARN).TaskDefinition(ctx, given)
	if err != nil {
		return definition, err
	}
	return definition, environment.CheckPlace(definition.ARN, clusterARN)
}
