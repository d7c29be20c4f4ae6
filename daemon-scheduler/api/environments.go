package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/swag/conv"
	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/status"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func (h *handler) createEnvironment(w http.ResponseWriter, r *http.Request) error {
	request, err := readRequest(r.Body)
	if err != nil {
		return err
	}
	clusterARN, err := h.Resolver.Cluster(r.Context(), *request.InstanceGroup.Cluster)
	if err != nil {
		return fmt.Errorf("resolve the cluster: %w", err)
	}
	spec, err := h.resolveSpec(r.Context(), &models.UpdateEnvironmentRequest{
		TaskDefinition: *request.TaskDefinition,
		InstanceGroup: &models.InstanceGroupUpdate{
			Attributes: request.InstanceGroup.Attributes,
			Query:      request.InstanceGroup.Query,
		},
		ReadinessAttribute:      request.ReadinessAttribute,
		DrainOrder:              request.DrainOrder,
		ScaleInAfterMinutes:     request.ScaleInAfterMinutes,
		DeploymentConfiguration: request.DeploymentConfiguration,
		TaskSettings:            request.TaskSettings,
	})
	if err != nil {
		return err
	}
	e := environment.Create(*request.Name, clusterARN, uuid.NewString(), spec, time.Now())
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	if err := h.Store.Create(ctx, e); err != nil {
		return err
	}
	h.Log.WithFields(logrus.Fields{
		"environment": e.Name, "cluster": clusterARN, "taskDefinition": spec.TaskDefinition,
	}).Info("environment created")
	httpserver.JSON(w, http.StatusOK, h.showEnvironment(e))
	return nil
}

func (h *handler) listEnvironments(w http.ResponseWriter, r *http.Request) error {
	matches, err := environmentFilter(r.URL.Query())
	if err != nil {
		return err
	}
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	all, err := h.Store.List(ctx)
	if err != nil {
		return err
	}
	list := models.Environments{Items: []*models.Environment{}}
	for _, e := range all {
		if matches(e) {
			list.Items = append(list.Items, h.showEnvironment(e))
		}
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}

func (h *handler) getEnvironment(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	e, err := h.get(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	httpserver.JSON(w, http.StatusOK, h.showEnvironment(e))
	return nil
}

// get reads an environment from the store, unless its name is invalid.
func (h *handler) get(ctx context.Context, name string) (environment.Environment, error) {
	if !environment.IsAddressableName(name) {
		return environment.Environment{}, environment.NotFound(name)
	}
	return h.Store.Get(ctx, name)
}

func (h *handler) showEnvironment(e environment.Environment) *models.Environment {
	return showEnvironment(e, h.Status.Counts(e))
}

// showEnvironment omits counts that are nil.
func showEnvironment(e environment.Environment, counts *status.Counts) *models.Environment {
	latest := e.LatestRevision()
	spec := latest.Spec
	m := &models.Environment{
		Name:                    &e.Name,
		DeploymentToken:         conv.Pointer(strfmt.UUID(e.Token)),
		Health:                  conv.Pointer(e.Health.String()),
		Status:                  string(e.Phase()),
		Paused:                  e.Paused,
		PausedBy:                e.PausedBy,
		InstanceGroup:           showGroup(e.Cluster, spec),
		TaskDefinition:          &e.DesiredTaskDefinition,
		Revision:                int64(latest.Number),
		CreatedAt:               timePointer(e.CreatedAt),
		UpdatedAt:               timePointer(latest.CreatedAt),
		DeploymentConfiguration: showConfiguration(spec.DeploymentConfiguration),
		TaskSettings:            showSettingsIfAny(spec.TaskSettings),
		ReadinessAttribute:      spec.ReadinessAttribute,
		DrainOrder:              nonZero(spec.DrainOrder),
		ScaleInAfterMinutes:     nonZero(spec.ScaleInAfterMinutes),
	}
	if d, ok := e.Effective(); ok {
		m.EffectiveRevision = int64(d.RevisionNumber())
		m.EffectiveTaskDefinition = d.TaskDefinition
	}
	for _, c := range e.Conditions() {
		m.Conditions = append(m.Conditions, showCondition(c))
	}
	if counts != nil {
		total := counts.Total
		m.DesiredCount = conv.Pointer(int64(total.Desired))
		m.RunningCount = conv.Pointer(int64(total.Running))
		m.PendingCount = conv.Pointer(int64(total.Pending))
		m.OutdatedCount = conv.Pointer(int64(total.Outdated))
		m.FailedCount = conv.Pointer(int64(total.Failed))
	}
	return m
}

func showCondition(c environment.Condition) *models.Condition {
	return &models.Condition{
		Type:               conv.Pointer(string(c.Type)),
		Status:             conv.Pointer(string(c.Status)),
		Reason:             &c.Reason,
		Message:            c.Message,
		LastTransitionTime: timePointer(c.LastTransitionTime),
	}
}
