package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/google/uuid"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// completeFromService returns the service that the request takes over, nil if none, and gives the request the
// service's cluster, task definition, instances and network where it has none.
func (h *handler) completeFromService(
	ctx context.Context, request *models.CreateEnvironmentRequest,
) (*environment.Service, error) {
	from := request.FromService
	if from == nil {
		return nil, nil
	}
	given := conv.Value(from.Service)
	if given == "" {
		return nil, invalidBody([]string{"fromService.service in body is required"})
	}
	if request.InstanceGroup == nil {
		request.InstanceGroup = &models.InstanceGroup{}
	}
	group := request.InstanceGroup
	role := environment.Role{ARN: request.Role, ExternalID: request.RoleExternalID}
	group.Cluster = cmp.Or(group.Cluster, from.Cluster, "default")
	clusterARN, err := h.resolveCluster(ctx, role, cmp.Or(from.Cluster, group.Cluster))
	if err != nil {
		return nil, err
	}
	if own, err := h.Resolver(role, group.Cluster).Cluster(ctx, group.Cluster); err != nil || own != clusterARN {
		failure := "fromService.cluster in body must be the cluster of instanceGroup"
		return nil, errors.Join(err, invalidBody([]string{failure}))
	}
	service, err := h.Resolver(role, clusterARN).Service(ctx, clusterARN, given)
	if err != nil {
		return nil, fmt.Errorf("resolve the service: %w", err)
	}
	if err := service.CheckTakeover(); err != nil {
		return nil, err
	}
	if request.TaskDefinition == nil {
		request.TaskDefinition = &service.TaskDefinition
	}
	if group.Query == "" && len(group.Attributes) == 0 {
		group.Query = service.Query()
	}
	if request.TaskSettings == nil && service.Network != nil {
		request.TaskSettings = showSettings(environment.TaskSettings{Network: service.Network})
	}
	return &service, nil
}

// startTakeover returns the environment with the takeover of the service and with its first deployment.
func (h *handler) startTakeover(
	ctx context.Context, e environment.Environment, service environment.Service, deleteService bool,
) (environment.Environment, error) {
	definition, err := h.resolveTaskDefinition(ctx, e.Role(), e.Cluster, e.DesiredTaskDefinition)
	if err != nil {
		return e, fmt.Errorf("resolve the task definition: %w", err)
	}
	now := time.Now()
	e.Takeover = environment.NewTakeover(service, definition, deleteService, now)
	return e.Deploy(uuid.NewString(), e.Token, now)
}

// respondDryRun responds with an environment that is not stored.
func (h *handler) respondDryRun(ctx context.Context, w http.ResponseWriter, e environment.Environment) error {
	switch _, err := h.Store.Get(ctx, e.Name); {
	case err == nil:
		return environment.Exists(e.Name)
	case !errors.Is(err, environment.ErrNotFound):
		return err
	}
	if e.Takeover != nil {
		e.Takeover.State = environment.TakeoverPlanned
	}
	shown := h.showEnvironment(e)
	shown.DeploymentToken = ""
	httpserver.JSON(w, http.StatusOK, shown)
	return nil
}

func (h *handler) cancelTakeover(w http.ResponseWriter, r *http.Request) error {
	return h.respondChanged(w, r, environment.EventTakeoverCancelled, "takeover cancelled",
		func(e environment.Environment) (environment.Environment, error) { return e.CancelTakeover(time.Now()) })
}

func showTakeover(e environment.Environment) *models.Takeover {
	t := e.Takeover
	if t == nil {
		return nil
	}
	m := &models.Takeover{
		Service: &t.Service, State: conv.Pointer(string(t.State)), Order: conv.Pointer(string(t.Order)),
		Reason: t.Reason(), DeleteService: t.DeleteService,
	}
	if added := e.ServiceConstraints(); len(added) > len(t.Constraints) {
		m.PlacementConstraint = added[len(added)-1].Expression
	}
	return m
}
