package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/status"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func (h *handler) createEnvironment(w http.ResponseWriter, r *http.Request) error {
	dryRun, err := boolParameter(r, "dryRun")
	if err != nil {
		return err
	}
	var service *environment.Service
	request, err := readRequest(r.Body, func(request *models.CreateEnvironmentRequest) (err error) {
		service, err = h.completeFromService(r.Context(), request)
		return err
	})
	if err != nil {
		return err
	}
	settings := &models.UpdateEnvironmentRequest{
		TaskDefinition: *request.TaskDefinition,
		InstanceGroup: &models.InstanceGroupUpdate{
			Attributes: request.InstanceGroup.Attributes,
			Query:      request.InstanceGroup.Query,
		},
		ReadinessAttribute:      request.ReadinessAttribute,
		DrainOrder:              request.DrainOrder,
		ScaleInAfterMinutes:     request.ScaleInAfterMinutes,
		UnhealthyPolicy:         request.UnhealthyPolicy,
		Role:                    request.Role,
		RoleExternalID:          request.RoleExternalID,
		DeploymentConfiguration: request.DeploymentConfiguration,
		TaskSettings:            request.TaskSettings,
	}
	if err := checkSpec(settings); err != nil {
		return err
	}
	role := environment.Role{ARN: request.Role, ExternalID: request.RoleExternalID}
	clusterARN, err := h.resolveCluster(r.Context(), role, request.InstanceGroup.Cluster)
	if err != nil {
		return err
	}
	spec, err := h.resolveSpec(r.Context(), clusterARN, settings)
	if err != nil {
		return err
	}
	e := environment.Create(*request.Name, clusterARN, uuid.NewString(), spec, time.Now())
	if service != nil {
		if e, err = h.startTakeover(r.Context(), e, *service, request.FromService.DeleteService); err != nil {
			return err
		}
	}
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	if dryRun {
		return h.respondDryRun(ctx, w, e)
	}
	if err := h.Store.CreateOnce(ctx, e, h.stored(ctx, h.renderEnvironment)); err != nil {
		return err
	}
	h.recordRevision(r, environment.Environment{}, e)
	httpserver.RequestLog(h.Log, r).WithFields(logrus.Fields{
		"environment": e.Name, "cluster": clusterARN, "taskDefinition": spec.TaskDefinition,
	}).Info("environment created")
	return h.respond(w, r, e, h.renderEnvironment)
}

// resolveCluster returns the ARN of a cluster, given its name or ARN, as the role sees it.
func (h *handler) resolveCluster(ctx context.Context, role environment.Role, given string) (string, error) {
	if problems := role.Validate(given); len(problems) > 0 {
		return "", validate(nil, problems...)
	}
	clusterARN, err := h.Resolver(role, given).Cluster(ctx, given)
	if err != nil {
		return "", fmt.Errorf("resolve the cluster: %w", err)
	}
	return clusterARN, nil
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
	return showEnvironment(e, h.Status.Observe(e))
}

// showEnvironment omits counts that are nil.
func showEnvironment(e environment.Environment, observed status.Observed) *models.Environment {
	latest := e.LatestRevision()
	spec := latest.Spec
	m := &models.Environment{
		Name:                    &e.Name,
		EnvironmentType:         typeDaemon,
		DeploymentToken:         e.Token,
		Health:                  conv.Pointer(models.HealthStatus(e.Health.String())),
		Status:                  string(e.Phase()),
		Paused:                  e.Paused,
		PausedBy:                e.PausedBy,
		InstanceGroup:           showGroup(e.Cluster, spec),
		TaskDefinition:          e.DesiredTaskDefinition,
		Revision:                int64(latest.Number),
		CreatedAt:               timePointer(e.CreatedAt),
		UpdatedAt:               timePointer(latest.CreatedAt),
		DeploymentConfiguration: showConfiguration(spec.DeploymentConfiguration),
		TaskSettings:            showSettingsIfAny(spec.TaskSettings),
		Takeover:                showTakeover(e),
		ReadinessAttribute:      spec.ReadinessAttribute,
		DrainOrder:              nonZero(spec.DrainOrder),
		ScaleInAfterMinutes:     nonZero(spec.ScaleInAfterMinutes),
		UnhealthyPolicy:         string(spec.UnhealthyPolicy),
		Role:                    spec.Role.ARN,
		RoleExternalID:          spec.Role.ExternalID,
	}
	if d, ok := e.Effective(); ok {
		m.EffectiveRevision = int64(d.RevisionNumber())
		m.EffectiveTaskDefinition = d.TaskDefinition
	}
	for _, c := range observed.Conditions {
		m.Conditions = append(m.Conditions, showCondition(c))
	}
	if observed.Counts != nil {
		total := observed.Counts.Total
		m.DesiredCount = conv.Pointer(int64(total.Desired))
		m.RunningCount = conv.Pointer(int64(total.Running))
		m.PendingCount = conv.Pointer(int64(total.Pending))
		m.UpdatedCount = conv.Pointer(int64(total.Updated()))
		m.AvailableCount = conv.Pointer(int64(total.Available))
		m.OutdatedCount = conv.Pointer(int64(total.Outdated))
		m.FailedCount = conv.Pointer(int64(total.Failed))
		m.UnreachableCount = conv.Pointer(int64(total.Unreachable))
		m.MisscheduledCount = conv.Pointer(int64(total.Misscheduled))
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
