package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func (h *handler) createDeployment(w http.ResponseWriter, r *http.Request) error {
	name, token := r.PathValue("name"), r.URL.Query().Get("deploymentToken")
	if err := environment.CheckToken(token); err != nil {
		return err
	}
	if !environment.IsName(name) {
		return environment.NotFound(name)
	}
	ctx, cancel := inTime(r)
	defer cancel()
	id, now := uuid.NewString(), time.Now()
	e, err := h.Store.Update(ctx, name, func(e environment.Environment) (environment.Environment, error) {
		return e.Deploy(id, token, now)
	})
	if err != nil {
		return err
	}
	h.Log.WithFields(logrus.Fields{"environment": name, "deployment": id}).Info("deployment created")
	httpserver.JSON(w, http.StatusOK, showDeployment(e, e.Deployments[id], nil))
	return nil
}

func (h *handler) listDeployments(w http.ResponseWriter, r *http.Request) error {
	e, launches, err := h.deployments(r)
	if err != nil {
		return err
	}
	list := models.Deployments{Items: []*models.Deployment{}}
	for _, d := range e.History() {
		list.Items = append(list.Items, showDeployment(e, d, launches))
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}

func (h *handler) getDeployment(w http.ResponseWriter, r *http.Request) error {
	e, launches, err := h.deployments(r)
	if err != nil {
		return err
	}
	d, ok := e.Deployments[r.PathValue("id")]
	if !ok {
		return environment.DeploymentNotFound(r.PathValue("id"), e.Name)
	}
	httpserver.JSON(w, http.StatusOK, showDeployment(e, d, launches))
	return nil
}

// deployments reads the environment in the path and its launches.
func (h *handler) deployments(r *http.Request) (environment.Environment, []environment.Launch, error) {
	ctx, cancel := inTime(r)
	defer cancel()
	e, err := h.get(ctx, r.PathValue("name"))
	if err != nil {
		return e, nil, err
	}
	launches, err := h.Store.Launches(ctx, e.Name)
	return e, launches, err
}

// showDeployment lists as failed what the launches say, and what v0.3 noted where it still stands.
func showDeployment(e environment.Environment, d environment.Deployment, launches []environment.Launch) *models.Deployment {
	failed := []string{}
	for _, f := range d.FailedInstances {
		if f.Arn != "" {
			failed = append(failed, f.Arn)
		}
	}
	for _, l := range launches {
		if l.Deployment == d.ID && l.Reason != "" {
			failed = append(failed, l.Instance)
		}
	}
	slices.Sort(failed)
	id, status := strfmt.UUID(d.ID), d.Status.String()
	return &models.Deployment{
		ID: &id, Status: &status, TaskDefinition: &d.TaskDefinition, EnvironmentName: &e.Name,
		FailedInstances: slices.Compact(failed),
	}
}
