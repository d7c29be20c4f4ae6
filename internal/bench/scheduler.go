package bench

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// startBatch is the number of instances in a StartTask call of daemon-scheduler.
const startBatch = 10.0

const (
	deployTimeout = 5 * time.Minute
	pollInterval  = 20 * time.Millisecond
)

// scheduler is a running daemon-scheduler with its cluster-state-service.
type scheduler struct {
	*service
	clusterState *service
}

// deployment is a deployment of the task definition "agent".
type deployment struct {
	id, path    string
	requestedAt time.Time
}

// startScheduler starts both services and returns when they are ready.
func (s *system) startScheduler(ctx context.Context, flags ...string) (*scheduler, error) {
	css, err := s.startClusterState(ctx)
	if err != nil {
		return nil, err
	}
	ds, err := s.launch("daemon-scheduler", schedulerRole,
		append([]string{"--etcd-endpoint", s.endpoint, "--css-endpoint", css.url}, flags...)...)
	if err != nil {
		return nil, err
	}
	return &scheduler{ds, css}, ds.awaitReady(ctx)
}

// deploy creates an environment with a deployment.
func (s *scheduler) deploy(ctx context.Context, environment, cluster string) (d deployment, err error) {
	return s.deployWith(ctx, environment, cluster, `{}`)
}

// deployWith deploys a new environment with a deploymentConfiguration in JSON.
func (s *scheduler) deployWith(
	ctx context.Context, environment, cluster, configuration string,
) (d deployment, err error) {
	var created struct{ DeploymentToken, ID string }
	body := fmt.Sprintf(`{"name":%q,"instanceGroup":{"cluster":%q},"taskDefinition":"agent","deploymentConfiguration":%s}`,
		environment, cluster, configuration)
	if err := request(ctx, http.MethodPost, s.url+"/v1/environments", body, &created); err != nil {
		return d, err
	}
	path := "/v1/environments/" + environment + "/deployments"
	d.requestedAt = time.Now()
	url := s.url + path + "?deploymentToken=" + created.DeploymentToken
	err = request(ctx, http.MethodPost, url, "", &created)
	d.id = created.ID
	d.path = path + "/" + created.ID
	return d, err
}

// awaitCompleted waits until the deployment is completed.
func (s *scheduler) awaitCompleted(ctx context.Context, d deployment) error {
	return s.await(ctx, deployTimeout, "a completed deployment", func() (bool, error) {
		var got struct{ Status string }
		err := request(ctx, http.MethodGet, s.url+d.path, "", &got)
		return got.Status == "completed", err
	})
}

// awaitInstances waits until cluster-state-service has so many active instances.
func (s *scheduler) awaitInstances(ctx context.Context, count int) error {
	return s.await(ctx, deployTimeout, "the instances", func() (bool, error) {
		var clusters struct {
			Items []struct{ Instances map[string]int } // by status
		}
		err := request(ctx, http.MethodGet, s.clusterState.url+"/v1/clusters", "", &clusters)
		active := 0
		for _, c := range clusters.Items {
			active += c.Instances["ACTIVE"]
		}
		return active == count, err
	})
}

// await calls done until it returns true. It fails if daemon-scheduler ends first.
func (s *scheduler) await(ctx context.Context, timeout time.Duration, what string, done func() (bool, error)) error {
	return s.awaitEvery(ctx, pollInterval, timeout, what, done)
}

// awaitEvery is await with another interval between two calls of done.
func (s *scheduler) awaitEvery(
	ctx context.Context, interval, timeout time.Duration, what string, done func() (bool, error),
) error {
	err := poll(ctx, timeout, interval, what, func() (bool, error) {
		if ok, err := done(); ok || err != nil {
			return ok, err
		}
		return false, s.checkRunning()
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, s.Output())
	}
	return nil
}
