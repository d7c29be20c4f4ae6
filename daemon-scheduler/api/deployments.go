package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/google/uuid"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/status"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func (h *handler) createDeployment(w http.ResponseWriter, r *http.Request) error {
	name, token := r.PathValue("name"), r.URL.Query().Get("deploymentToken")
	if err := environment.CheckToken(token); err != nil {
		return err
	}
	if !environment.IsAddressableName(name) {
		return environment.NotFound(name)
	}
	dryRun, err := boolParameter(r, "dryRun")
	if err != nil {
		return err
	}
	id := uuid.NewString()
	deploy, err := deployTransition(r, id, token)
	if err != nil {
		return err
	}
	if dryRun {
		return h.dryRun(w, r, deploy, &id)
	}
	render := func(_ context.Context, e environment.Environment) (any, error) {
		return showDeployment(e, e.Deployments[id], nil, h.Status.Counts(e)), nil
	}
	var before environment.Environment
	e, err := h.updateVerified(r, name, render, func(e environment.Environment) (environment.Environment, error) {
		before = e
		return deploy(e)
	})
	if err != nil {
		return err
	}
	h.record(r, environment.Event{
		Action: environment.EventDeploymentCreated, Environment: name, Cluster: e.Cluster, Deployment: id,
		TaskDefinition: e.Deployments[id].TaskDefinition, Changes: stateChanges(before, e, id),
	})
	h.logChange(r, e, id, "deployment created")
	return h.respond(w, r, e, render)
}

// deployTransition returns the transition that the request's parameters revision and forceNewDeployment ask for.
func deployTransition(r *http.Request, id, token string) (transition, error) {
	revision, err := revisionParameter(r)
	if err != nil {
		return nil, err
	}
	force, err := boolParameter(r, "forceNewDeployment")
	if err != nil {
		return nil, err
	}
	now, nextToken := time.Now(), uuid.NewString()
	return func(e environment.Environment) (environment.Environment, error) {
		if revision == 0 && !force {
			return e.Deploy(id, token, now)
		}
		return e.Redeploy(id, token, environment.Redeployment{Revision: revision, Force: force}, nextToken, now)
	}, nil
}

func (h *handler) listDeployments(w http.ResponseWriter, r *http.Request) error {
	e, launches, err := h.environmentAndLaunches(r)
	if err != nil {
		return err
	}
	list := models.Deployments{Items: []*models.Deployment{}}
	counts := h.Status.Counts(e)
	for _, d := range e.History() {
		list.Items = append(list.Items, showDeployment(e, d, launches, counts))
	}
	httpserver.JSON(w, http.StatusOK, list)
	return nil
}

func (h *handler) getDeployment(w http.ResponseWriter, r *http.Request) error {
	e, launches, err := h.environmentAndLaunches(r)
	if err != nil {
		return err
	}
	d, ok := e.Deployments[r.PathValue("id")]
	if !ok {
		return environment.DeploymentNotFound(r.PathValue("id"), e.Name)
	}
	httpserver.JSON(w, http.StatusOK, showDeployment(e, d, launches, h.Status.Counts(e)))
	return nil
}

// environmentAndLaunches reads the environment in the path and its launches.
func (h *handler) environmentAndLaunches(r *http.Request) (environment.Environment, []environment.Launch, error) {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	e, err := h.get(ctx, r.PathValue("name"))
	if err != nil {
		return e, nil, err
	}
	launches, err := h.Store.Launches(ctx, e.Name)
	return e, launches, err
}

// dryRun responds with the plan of a change that it does not store, and with the deployment that the change makes. The
// change sets the id of that.
func (h *handler) dryRun(w http.ResponseWriter, r *http.Request, change transition, id *string) error {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	before, err := h.get(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	e, err := change(before)
	if err != nil {
		return err
	}
	if d, created := createdDeployment(before, e); created {
		if err := h.verifyTarget(r.Context(), e, d); err != nil {
			return err
		}
	}
	steps, counts, ok := h.Status.DryRun(e)
	if !ok {
		return environment.ErrClusterStateStale
	}
	shown := showDeployment(e, e.Deployments[*id], nil, counts)
	shown.Plan = []*models.PlanStep{}
	for _, s := range steps {
		shown.Plan = append(shown.Plan, &models.PlanStep{
			Batch:             conv.Pointer(int64(s.Batch)),
			Action:            &s.Action,
			ContainerInstance: &s.Instance,
			Task:              s.Task,
			Reason:            &s.Reason,
		})
	}
	httpserver.JSON(w, http.StatusOK, shown)
	return nil
}

// showDeployment lists the failures of launches and the failures that v0.3 stored. It omits counts that are nil.
func showDeployment(
	e environment.Environment, d environment.Deployment, launches []environment.Launch, counts *status.Counts,
) *models.Deployment {
	failures := instanceFailures(d, launches)
	m := &models.Deployment{
		ID:                 &d.ID,
		Status:             conv.Pointer(d.Status.String()),
		TaskDefinition:     &d.TaskDefinition,
		EnvironmentName:    &e.Name,
		FailedInstances:    []string{},
		Revision:           int64(d.RevisionNumber()),
		RolloutState:       string(e.RolloutState(d)),
		RolloutStateReason: d.RolloutStateReason,
		RollbackOf:         d.RollbackOf,
		Promoted:           d.Promoted,
		CanaryProgress:     showCanaryProgress(e, d),
		ForceNewDeployment: d.ForceNewDeployment,
		FailedTasks:        int64(d.CountedFailures()),
		FailedCount:        conv.Pointer(int64(len(failures))),
		CreatedAt:          timePointer(d.StartTime),
		StartedAt:          timePointer(d.RolloutStartedAt),
		BakeStartedAt:      timePointer(d.BakeStartedAt),
		FinishedAt:         timePointer(d.EndTime),
	}
	for _, instance := range slices.Sorted(maps.Keys(failures)) {
		m.FailedInstances = append(m.FailedInstances, instance)
		m.Failures = append(m.Failures, failures[instance])
	}
	if counts == nil {
		return m
	}
	tasks := counts.ByDeployment[d.ID]
	m.RunningCount = conv.Pointer(int64(tasks.Running))
	m.PendingCount = conv.Pointer(int64(tasks.Pending))
	m.DesiredCount = conv.Pointer(int64(d.DesiredTaskCount))
	if current, ok := e.Current(); ok && current.ID == d.ID {
		m.DesiredCount = conv.Pointer(int64(counts.Total.Desired))
	}
	return m
}

// instanceFailures returns the deployment's failures by instance ARN.
func instanceFailures(d environment.Deployment, launches []environment.Launch) map[string]*models.InstanceFailure {
	failures := map[string]*models.InstanceFailure{}
	for _, f := range d.FailedInstances {
		if f.Arn != "" {
			failures[f.Arn] = &models.InstanceFailure{ContainerInstance: &f.Arn, Reason: &f.Reason}
		}
	}
	for _, l := range launches {
		if l.Deployment == d.ID && l.Reason != "" {
			failures[l.Instance] = &models.InstanceFailure{
				ContainerInstance: &l.Instance, Reason: &l.Reason, Detail: l.Detail,
			}
		}
	}
	return failures
}
