package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cmd/blox/connect"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	statemodels "github.com/blox/blox/swagger/cluster-state-service/v1/models"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// taskGroup is the group of the probe's tasks. It identifies an environment as the probe's: the probe deletes no other.
const taskGroup = "blox-probe"

// rollout is the state that the deployment steps share.
type rollout struct {
	*run
	created    bool // the environment may exist, even if no response confirmed it
	token      string
	deployment string              // id
	running    []*statemodels.Task // as CSS lists them
	stream     *taskStream         // open from before the deployment until the end
	stopStream func()
}

// checkDeployment deploys an environment of the probe's own and deletes it.
func (r *run) checkDeployment(ctx context.Context) {
	o := &rollout{run: r, stopStream: func() {}}
	defer func() { o.stopStream() }()
	succeeded := r.perform(ctx,
		step{Cleanup, o.cleanUp}, step{Create, o.create}, step{Deploy, o.deploy}, step{AwaitRunning, o.awaitRunning},
		step{CSSListsTasks, o.listTasks}, step{CSSStreamsTasks, o.awaitStream}, step{Delete, r.remove},
		step{AwaitDeleted, r.awaitDeleted},
	)
	if o.created && !succeeded {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		_ = r.remove(ctx) // if it fails, the next run repeats it and reports the failure
	}
}

func (o *rollout) cleanUp(ctx context.Context) error {
	if err := o.remove(ctx); err != nil {
		return err
	}
	return o.awaitDeleted(ctx)
}

func (o *rollout) create(ctx context.Context) error {
	o.created = true
	params := ds.NewCreateEnvironmentParams().WithBody(&models.CreateEnvironmentRequest{
		Name: &o.Name, TaskDefinition: &o.TaskDefinition,
		InstanceGroup: &models.InstanceGroup{Cluster: o.Cluster, Query: o.Query},
		DeploymentConfiguration: &models.DeploymentConfiguration{
			DeploymentCircuitBreaker: &models.CircuitBreaker{Enable: true}},
		TaskSettings: &models.TaskSettings{Group: taskGroup},
	})
	environment, err := o.Clients.Scheduler.CreateEnvironmentContext(ctx, params)
	if err != nil {
		o.created = !connect.IsStatus(err, http.StatusBadRequest) // an existing one belongs to another probe
		return err
	}
	o.token = environment.Payload.DeploymentToken
	return nil
}

// deploy opens the stream at the current version first, so that it misses no change of the deployment.
func (o *rollout) deploy(ctx context.Context) error {
	list, err := o.Clients.State.ListTasksContext(ctx,
		css.NewListTasksParams().WithCluster(&o.Cluster).WithLimit(conv.Pointer(int32(1))))
	if err != nil {
		return err
	}
	o.stream, o.stopStream = o.openTaskStream(ctx, list.Payload.Metadata.EntityVersion)
	params := ds.NewCreateDeploymentParams().WithName(o.Name).WithDeploymentToken(o.token)
	deployment, err := o.Clients.Scheduler.CreateDeploymentContext(ctx, params)
	if err != nil {
		return err
	}
	o.deployment = conv.Value(deployment.Payload.ID)
	return nil
}

// awaitRunning waits until the deployment is completed.
func (o *rollout) awaitRunning(ctx context.Context) error {
	return await(ctx, o.StepTimeout, func(ctx context.Context) (string, error) {
		params := ds.NewGetDeploymentParams().WithName(o.Name).WithID(o.deployment)
		response, err := o.Clients.Scheduler.GetDeploymentContext(ctx, params)
		if err != nil {
			return "", err
		}
		d := response.Payload
		switch d.RolloutState {
		case models.DeploymentRolloutStateCOMPLETED:
			if d.DesiredCount != nil && *d.DesiredCount == 0 {
				return "", errors.New("no instance matches, so the deployment proved nothing")
			}
			return "", nil
		case models.DeploymentRolloutStateFAILED, models.DeploymentRolloutStateSTOPPED:
			text := "deployment " + strings.ToLower(d.RolloutState) + ": " + d.RolloutStateReason + firstFailure(d)
			return "", errors.New(strings.TrimSpace(text))
		}
		return fmt.Sprintf("%d of %d tasks are running%s", conv.Value(d.RunningCount), conv.Value(d.DesiredCount),
			firstFailure(d)), nil
	})
}

func firstFailure(d *models.Deployment) string {
	for _, f := range d.Failures {
		return fmt.Sprintf("; %s: %s %s", *f.ContainerInstance, *f.Reason, f.Detail)
	}
	return ""
}

func (o *rollout) listTasks(ctx context.Context) error {
	params := css.NewListTasksParams().WithCluster(&o.Cluster).WithStartedBy(&o.deployment).
		WithStatus(conv.Pointer("RUNNING"))
	list, err := o.Clients.State.ListTasksContext(ctx, params)
	if err == nil && len(list.Payload.Items) == 0 {
		err = errors.New("daemon-scheduler reports running tasks, but cluster-state-service lists none of them")
	}
	if err != nil {
		return err
	}
	o.running = list.Payload.Items
	return nil
}

func (o *rollout) awaitStream(ctx context.Context) error {
	return await(ctx, o.StreamDelay, func(context.Context) (string, error) {
		for _, task := range o.running {
			if !o.stream.reportedRunning(o.deployment, *task.Entity.TaskARN) {
				return "the stream has not reported " + *task.Entity.TaskARN + " as RUNNING", o.stream.failure()
			}
		}
		return "", nil
	})
}

// remove deletes the probe's environment and its tasks. It refuses to delete an environment of others.
func (r *run) remove(ctx context.Context) error {
	found, err := r.Clients.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(r.Name))
	if connect.IsStatus(err, http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.Payload.TaskSettings == nil || found.Payload.TaskSettings.Group != taskGroup {
		return fmt.Errorf("environment %s does not belong to the probe (its task group is not %s); use another --name",
			r.Name, taskGroup)
	}
	params := ds.NewDeleteEnvironmentParams().WithName(r.Name).WithStopTasks(conv.Pointer(true))
	_, err = r.Clients.Scheduler.DeleteEnvironmentContext(ctx, params)
	return err
}

// awaitDeleted waits until the environment no longer exists, which is when its tasks have stopped.
func (r *run) awaitDeleted(ctx context.Context) error {
	return await(ctx, r.StepTimeout, func(ctx context.Context) (string, error) {
		_, err := r.Clients.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(r.Name))
		switch {
		case connect.IsStatus(err, http.StatusNotFound):
			return "", nil
		case err != nil:
			return "", err
		}
		return "its tasks have not stopped", nil
	})
}
