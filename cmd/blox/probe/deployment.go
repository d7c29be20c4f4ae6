package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/blox/blox/cmd/blox/connect"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	statemodels "github.com/blox/blox/swagger/cluster-state-service/v1/models"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// mark is the group of a canary's tasks, by which it knows its own environment: it deletes no other.
const mark = "blox-canary"

// deployment has an environment deployed and takes it away again.
func (r *run) deployment(ctx context.Context) {
	var id, token string
	var running []*statemodels.Task
	var stream *seen
	stop := func() {}
	defer func() { stop() }()
	made := false
	well := r.all(ctx,
		step{Cleanup, func(ctx context.Context) error {
			if err := r.remove(ctx); err != nil {
				return err
			}
			return r.gone(ctx)
		}},
		step{Create, func(ctx context.Context) error {
			made = true // also when no answer says so
			environment, err := r.Clients.Scheduler.CreateEnvironmentContext(ctx, ds.NewCreateEnvironmentParams().WithBody(&models.CreateEnvironmentRequest{
				Name: &r.Name, TaskDefinition: &r.TaskDefinition,
				InstanceGroup:           &models.InstanceGroup{Cluster: &r.Cluster, Query: r.Query},
				DeploymentConfiguration: &models.DeploymentConfiguration{DeploymentCircuitBreaker: &models.CircuitBreaker{Enable: true}},
				TaskSettings:            &models.TaskSettings{Group: mark},
			}))
			if err != nil {
				made = !connect.IsStatus(err, http.StatusBadRequest) // then it is another canary's, if there is one
				return err
			}
			token = environment.Payload.DeploymentToken.String()
			return nil
		}},
		step{Deploy, func(ctx context.Context) error {
			one := int32(1)
			list, err := r.Clients.State.ListTasksContext(ctx, css.NewListTasksParams().WithCluster(&r.Cluster).WithLimit(&one))
			if err != nil {
				return err
			}
			stream, stop = r.follow(ctx, list.Payload.Metadata.EntityVersion) // so that it misses nothing of what follows
			deployment, err := r.Clients.Scheduler.CreateDeploymentContext(ctx, ds.NewCreateDeploymentParams().WithName(r.Name).WithDeploymentToken(token))
			if err != nil {
				return err
			}
			id = deployment.Payload.ID.String()
			return nil
		}},
		step{Running, func(ctx context.Context) error { return r.runs(ctx, id) }},
		step{StateShows, func(ctx context.Context) error {
			status := "RUNNING"
			list, err := r.Clients.State.ListTasksContext(ctx, css.NewListTasksParams().WithCluster(&r.Cluster).WithStartedBy(&id).WithStatus(&status))
			if err == nil && len(list.Payload.Items) == 0 {
				err = errors.New("daemon-scheduler says that its tasks run, and cluster-state-service lists none of them")
			}
			if err != nil {
				return err
			}
			running = list.Payload.Items
			return nil
		}},
		step{Stream, func(ctx context.Context) error {
			return await(ctx, r.Freshness, func(context.Context) (string, error) {
				for _, task := range running {
					if !stream.ran(id, *task.Entity.TaskARN) {
						return "the stream has not shown that " + *task.Entity.TaskARN + " runs", stream.failure()
					}
				}
				return "", nil
			})
		}},
		step{Delete, r.remove},
		step{Gone, r.gone},
	)
	if made && !well {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterward)
		defer cancel()
		_ = r.remove(after) // where that fails, the next run tries again, and says so
	}
}

// runs waits until the deployment is completed.
func (r *run) runs(ctx context.Context, id string) error {
	return await(ctx, r.Wait, func(ctx context.Context) (string, error) {
		answer, err := r.Clients.Scheduler.GetDeploymentContext(ctx, ds.NewGetDeploymentParams().WithName(r.Name).WithID(id))
		if err != nil {
			return "", err
		}
		d := answer.Payload
		switch d.RolloutState {
		case models.DeploymentRolloutStateCOMPLETED:
			if d.DesiredCount != nil && *d.DesiredCount == 0 {
				return "", errors.New("no instance is to have a task, so that nothing was shown to work")
			}
			return "", nil
		case models.DeploymentRolloutStateFAILED, models.DeploymentRolloutStateSTOPPED:
			return "", errors.New(strings.TrimSpace("the deployment " + strings.ToLower(d.RolloutState) + ": " + d.RolloutStateReason + reasons(d)))
		}
		return fmt.Sprintf("%d of %d tasks run%s", number(d.RunningCount), number(d.DesiredCount), reasons(d)), nil
	})
}

func reasons(d *models.Deployment) string {
	for _, f := range d.Failures {
		return fmt.Sprintf("; %s: %s %s", *f.ContainerInstance, *f.Reason, f.Detail)
	}
	return ""
}

func number(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// remove deletes the canary's environment and its tasks; one that others have made it refuses to.
func (r *run) remove(ctx context.Context) error {
	found, err := r.Clients.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(r.Name))
	if connect.IsStatus(err, http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.Payload.TaskSettings == nil || found.Payload.TaskSettings.Group != mark {
		return fmt.Errorf("the environment %s is not the canary's (its tasks are not of the group %s): give the canary another name", r.Name, mark)
	}
	stopTasks := true
	_, err = r.Clients.Scheduler.DeleteEnvironmentContext(ctx, ds.NewDeleteEnvironmentParams().WithName(r.Name).WithStopTasks(&stopTasks))
	return err
}

// gone waits until the environment is, which is when its tasks have stopped.
func (r *run) gone(ctx context.Context) error {
	return await(ctx, r.Wait, func(ctx context.Context) (string, error) {
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

// clusterName is the name in a cluster's ARN.
func clusterName(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }
