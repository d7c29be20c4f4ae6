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

// updateEnvironment makes a new revision. Every other update changes the token, so what was read with it is still so when
// the update is stored.
func (h *handler) updateEnvironment(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("deploymentToken")
	if err := environment.CheckToken(token); err != nil {
		return err
	}
	reading, cancel := withStoreTimeout(r)
	defer cancel()
	e, err := h.get(reading, r.PathValue("name"))
	if err != nil {
		return err
	}
	if err := e.CheckUpdate(token); err != nil {
		return err
	}
	asked, err := readPatch(r.Body, e)
	if err != nil {
		return err
	}
	spec, err := h.resolved(r.Context(), asked)
	if err != nil {
		return err
	}
	writing, cancel := withStoreTimeout(r) // ECS may have taken its time
	defer cancel()
	next, now := uuid.NewString(), time.Now()
	e, err = h.Store.Update(writing, e.Name, func(e environment.Environment) (environment.Environment, error) {
		return e.Update(spec, token, next, now)
	})
	if err != nil {
		return err
	}
	h.Log.WithFields(logrus.Fields{"environment": e.Name, "revision": e.LatestRevision().Number, "taskDefinition": spec.TaskDefinition}).
		Info("environment updated")
	httpserver.JSON(w, http.StatusOK, h.showEnvironment(e))
	return nil
}

// resolved is what is asked for, with the task definition that ECS knows, checked against that.
func (h *handler) resolved(ctx context.Context, asked *models.UpdateEnvironmentRequest) (environment.Spec, error) {
	spec := wants(asked)
	definition, err := h.Resolver.TaskDefinition(ctx, spec.TaskDefinition)
	if err != nil {
		return spec, fmt.Errorf("resolve the task definition: %w", err)
	}
	spec.TaskDefinition = definition.ARN
	return spec, validate(nil, spec.Validate(definition)...)
}

func (h *handler) listRevisions(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	e, err := h.get(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	list, known := models.Revisions{Items: []*models.Revision{}}, e.KeptRevisions()
	for i := range known {
		revision := known[len(known)-1-i]
		s := revision.Spec
		list.Items = append(list.Items, &models.Revision{
			Revision: count(revision.Number), TaskDefinition: &s.TaskDefinition, InstanceGroup: showGroup(e.Cluster, s), CreatedAt: when(revision.CreatedAt),
			DeploymentConfiguration: showConfiguration(s.DeploymentConfiguration), TaskSettings: shownSettings(s.TaskSettings),
			ReadinessAttribute: s.ReadinessAttribute, DrainOrder: notZero(s.DrainOrder), ScaleInAfterMinutes: notZero(s.ScaleInAfterMinutes),
		})
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}

func (h *handler) listInstances(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	e, err := h.get(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	statuses, ok := h.Status.InstanceStatuses(e)
	if !ok {
		return environment.ErrClusterStateStale
	}
	list := models.EnvironmentInstances{Items: []*models.EnvironmentInstance{}}
	for _, p := range statuses {
		list.Items = append(list.Items, showInstance(p))
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}
