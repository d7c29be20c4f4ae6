package api

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func (h *handler) listRevisions(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	e, err := h.get(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	list := models.Revisions{Items: []*models.Revision{}}
	for _, revision := range slices.Backward(e.KeptRevisions()) {
		list.Items = append(list.Items, showRevision(e.Cluster, revision))
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}

func (h *handler) getRevision(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	e, err := h.get(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(r.PathValue("revision"))
	if err != nil {
		return environment.RevisionNotFound(r.PathValue("revision"), e.Name)
	}
	revision, err := e.Revision(number)
	if err != nil {
		return err
	}
	httpserver.JSON(w, http.StatusOK, showRevision(e.Cluster, revision))
	return nil
}

func showRevision(cluster string, revision environment.Revision) *models.Revision {
	spec := revision.Spec
	return &models.Revision{
		Revision:                conv.Pointer(int64(revision.Number)),
		TaskDefinition:          &spec.TaskDefinition,
		InstanceGroup:           showGroup(cluster, spec),
		CreatedAt:               timePointer(revision.CreatedAt),
		DeploymentConfiguration: showConfiguration(spec.DeploymentConfiguration),
		TaskSettings:            showSettingsIfAny(spec.TaskSettings),
		ReadinessAttribute:      spec.ReadinessAttribute,
		DrainOrder:              nonZero(spec.DrainOrder),
		ScaleInAfterMinutes:     nonZero(spec.ScaleInAfterMinutes),
		UnhealthyPolicy:         string(spec.UnhealthyPolicy),
	}
}

func (h *handler) listInstances(w http.ResponseWriter, r *http.Request) error {
	groupBy, err := groupByParameter(r)
	if err != nil {
		return err
	}
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
	for _, instance := range statuses {
		list.Items = append(list.Items, showInstance(instance, groupBy.ValueFor(instance.Instance)))
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}
