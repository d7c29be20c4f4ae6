package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/status"
	"github.com/blox/blox/internal/arn"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func (h *handler) createEnvironment(w http.ResponseWriter, r *http.Request) error {
	asked, err := readRequest(r.Body)
	if err != nil {
		return err
	}
	clusterARN, err := h.Resolver.Cluster(r.Context(), *asked.InstanceGroup.Cluster)
	if err != nil {
		return fmt.Errorf("resolve the cluster: %w", err)
	}
	spec, err := h.resolved(r.Context(), &models.UpdateEnvironmentRequest{
		TaskDefinition:     *asked.TaskDefinition,
		InstanceGroup:      &models.InstanceGroupUpdate{Attributes: asked.InstanceGroup.Attributes, Query: asked.InstanceGroup.Query},
		ReadinessAttribute: asked.ReadinessAttribute, DrainOrder: asked.DrainOrder, ScaleInAfterMinutes: asked.ScaleInAfterMinutes,
		DeploymentConfiguration: asked.DeploymentConfiguration, TaskSettings: asked.TaskSettings,
	})
	if err != nil {
		return err
	}
	e := environment.Create(*asked.Name, clusterARN, uuid.NewString(), spec, time.Now())
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	if err := h.Store.Create(ctx, e); err != nil {
		return err
	}
	h.Log.WithFields(logrus.Fields{"environment": e.Name, "cluster": clusterARN, "taskDefinition": spec.TaskDefinition}).
		Info("environment created")
	httpserver.JSON(w, http.StatusOK, h.showEnvironment(e))
	return nil
}

func (h *handler) listEnvironments(w http.ResponseWriter, r *http.Request) error {
	matches, err := filter(r.URL.Query())
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

// filter reads the filters of a list. The checks run in v0.3's order.
func filter(query url.Values) (matches func(environment.Environment) bool, err error) {
	for key := range query {
		if key != "cluster" && key != "nextToken" {
			return nil, errUnsupported
		}
	}
	for _, values := range query {
		if len(values) > 1 {
			return nil, errRepeated
		}
	}
	switch given := query.Get("cluster"); {
	case given == "":
		return func(environment.Environment) bool { return true }, nil
	case arn.IsClusterName(given):
		return func(e environment.Environment) bool {
			a, err := arn.ParseKind(e.Cluster, arn.Cluster)
			return err == nil && a.Cluster == given
		}, nil
	default:
		if _, err := arn.ParseKind(given, arn.Cluster); err != nil {
			return nil, errCluster
		}
		return func(e environment.Environment) bool { return e.Cluster == given }, nil
	}
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

// get does not ask for what cannot be.
func (h *handler) get(ctx context.Context, name string) (environment.Environment, error) {
	if !environment.IsAddressableName(name) {
		return environment.Environment{}, environment.NotFound(name)
	}
	return h.Store.Get(ctx, name)
}

// deleteEnvironment answers when no task can be started for the environment any more.
func (h *handler) deleteEnvironment(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if !environment.IsAddressableName(name) {
		writeEmpty(w)
		return nil
	}
	stop, err := boolParameter(r, "stopTasks")
	if err != nil {
		return err
	}
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	if stop {
		return h.deleteWithTasks(ctx, w, name)
	}
	e, getting := h.Store.Get(ctx, name)
	if err := h.Store.Delete(ctx, name); err != nil {
		return err
	}
	if getting == nil && !e.IsDeleting() {
		h.record(environment.Event{Action: environment.EventEnvironmentDeleted, Environment: name})
	}
	if err := h.settled(r.Context(), name); err != nil {
		return fmt.Errorf("wait for launches of environment %s: %w", name, err)
	}
	h.Log.WithField("environment", name).Info("environment deleted, or being deleted with its tasks already")
	writeEmpty(w)
	return nil
}

// deleteWithTasks leaves the rest to the engine.
func (h *handler) deleteWithTasks(ctx context.Context, w http.ResponseWriter, name string) error {
	begun := false
	_, err := h.update(ctx, name, func(e environment.Environment) (environment.Environment, error) {
		begun = !e.IsDeleting()
		return e.Delete(time.Now()), nil
	})
	if err != nil && !errors.Is(err, environment.ErrNotFound) {
		return err
	}
	if err == nil && begun {
		h.record(environment.Event{Action: environment.EventEnvironmentDeletionRequested, Environment: name})
	}
	h.Log.WithField("environment", name).Info("environment is being deleted with its tasks")
	writeEmpty(w)
	return nil
}

const settleLook = 250 * time.Millisecond

// settled waits until no call of StartTask can be under way for a deleted environment: no launch is announced any more,
// and an open one may call until its NotAfter; one that is further ahead than any can be is a wrong clock's.
func (h *handler) settled(ctx context.Context, name string) error {
	for limit := time.Now().Add(environment.LaunchWindow); ; {
		reading, cancel := context.WithTimeout(ctx, storeTimeout)
		launches, err := h.Store.Launches(reading, name)
		cancel()
		if err != nil {
			return err
		}
		open := false
		for _, l := range launches {
			open = open || l.State == environment.LaunchOpen && time.Now().Before(l.NotAfter) && time.Now().Before(limit)
		}
		if !open {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settleLook):
		}
	}
}

func (h *handler) showEnvironment(e environment.Environment) *models.Environment {
	return showEnvironment(e, h.Status.Counts(e))
}

// showEnvironment omits counts that are nil.
func showEnvironment(e environment.Environment, counts *status.Counts) *models.Environment {
	token, health, wants := strfmt.UUID(e.Token), e.Health.String(), e.LatestRevision()
	m := &models.Environment{
		Name: &e.Name, DeploymentToken: &token, Health: &health, Status: string(e.Phase()), Paused: e.Paused, PausedBy: e.PausedBy,
		InstanceGroup: showGroup(e.Cluster, wants.Spec), TaskDefinition: &e.DesiredTaskDefinition, Revision: int64(wants.Number),
		CreatedAt: when(e.CreatedAt), UpdatedAt: when(wants.CreatedAt),
		DeploymentConfiguration: showConfiguration(wants.Spec.DeploymentConfiguration), TaskSettings: shownSettings(wants.Spec.TaskSettings),
		ReadinessAttribute: wants.Spec.ReadinessAttribute,
		DrainOrder:         notZero(wants.Spec.DrainOrder), ScaleInAfterMinutes: notZero(wants.Spec.ScaleInAfterMinutes),
	}
	if counts != nil {
		c := counts.Total
		m.DesiredCount, m.RunningCount, m.PendingCount = count(c.Desired), count(c.Running), count(c.Pending)
		m.OutdatedCount, m.FailedCount = count(c.Outdated), count(c.Failed)
	}
	return m
}
