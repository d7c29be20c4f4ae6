package robustness

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecssim"
)

// clusterNames are the clusters of each place whose instances change. Users' environments are spread over them.
var clusterNames = []string{"default", "other"}

const minInstances, maxInstances = 3, 9 // of a cluster

// instances changes the container instances and tasks of the clusters.
type instances struct {
	*system
	mu      sync.Mutex      // one change at a time, so that the number of instances stays within its bounds
	claimed map[string]bool // by cluster ARN; claimed clusters do not change otherwise
}

// register registers the first instances.
func (i *instances) register(ctx context.Context) error {
	for _, cluster := range clusterARNs(i.places) {
		if err := i.registerIn(ctx, cluster); err != nil {
			return err
		}
	}
	return nil
}

// clusterState lists the objects of one cluster that an action can select.
type clusterState struct {
	registered       int
	active, draining []ecssim.Instance // active: with a connected agent
	liveTasks        []ecssim.Task
}

func (i *instances) clusterState(ctx context.Context, cluster string) (c clusterState, err error) {
	state, err := i.sim.clusterState(ctx, cluster)
	if err != nil {
		return c, err
	}
	for _, instance := range state.Instances {
		if instance.Status == "INACTIVE" {
			continue
		}
		c.registered++
		switch {
		case instance.Status == "DRAINING":
			c.draining = append(c.draining, instance)
		case instance.AgentConnected:
			c.active = append(c.active, instance)
		}
	}
	for _, task := range state.Tasks {
		if task.Live() {
			c.liveTasks = append(c.liveTasks, task)
		}
	}
	return c, nil
}

// apply executes one of instanceActions. It does nothing if no object is eligible.
func (i *instances) apply(ctx context.Context, a action) error {
	switch a.Kind {
	case "disconnect-agent":
		return i.disconnectAgent(ctx, a, 1)
	case "flap-agent":
		return i.disconnectAgent(ctx, a, 4)
	case "cancel-drain":
		return i.cancelDrain(ctx, a)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	cluster := i.pickCluster(a)
	if i.claimed[cluster] {
		return nil
	}
	c, err := i.clusterState(ctx, cluster)
	if err != nil {
		return err
	}
	switch {
	case a.Kind == "register" && c.registered < maxInstances:
		return i.sim.post(ctx, "instances", url.Values{"cluster": {cluster}})
	case a.Kind == "deregister" && len(c.active) > minInstances:
		return i.sim.call(ctx, http.MethodDelete, "instances", pickInstance(a, c.active), nil, nil)
	case a.Kind == "drain" && len(c.active) > minInstances:
		return i.sim.post(ctx, "instances/drain", pickInstance(a, c.active))
	case a.Kind == "activate" && len(c.draining) > 0:
		return i.sim.post(ctx, "instances/activate", pickInstance(a, c.draining))
	case a.Kind == "run-fargate-task":
		return i.sim.post(ctx, "tasks/fargate", url.Values{"cluster": {cluster}, "family": {"web"}})
	case len(c.liveTasks) > 0:
		return i.disturbTask(ctx, a, c.liveTasks[int(a.Pick*float64(len(c.liveTasks)))])
	}
	return nil
}

// disturbTask ends a task from outside Blox. ECS rejects the health of a task without health checks.
func (i *instances) disturbTask(ctx context.Context, a action, task ecssim.Task) error {
	switch a.Kind {
	case "kill-task":
		return i.sim.post(ctx, "tasks/kill", url.Values{"task": {task.ARN}, "exitCode": {"1"}})
	case "stop-task":
		return i.operator.stopTask(ctx, task.ClusterARN, task.ARN)
	case "unhealthy-task":
		return i.sim.post(ctx, "tasks/health", url.Values{"task": {task.ARN}, "status": {"UNHEALTHY"}})
	}
	return nil
}

// cancelDrain drains an instance for the duration of the action.
func (i *instances) cancelDrain(ctx context.Context, a action) error {
	query, err := i.pickConnected(ctx, a)
	if err != nil || query == nil {
		return err
	}
	err = i.sim.post(ctx, "instances/drain", query)
	backoff.Sleep(ctx, a.Duration)
	return errors.Join(err, i.sim.post(context.WithoutCancel(ctx), "instances/activate", query)) // 404 if deregistered
}

func pickInstance(a action, of []ecssim.Instance) url.Values {
	return url.Values{"instance": {of[int(a.Pick*float64(len(of)))].ARN}}
}

// disconnectAgent disconnects and connects an ECS agent several times within the duration of the action.
func (i *instances) disconnectAgent(ctx context.Context, a action, times int) error {
	query, err := i.pickConnected(ctx, a)
	if err != nil || query == nil {
		return err
	}
	for range times {
		query.Set("connected", "false")
		err = errors.Join(err, i.sim.post(ctx, "instances/agent", query))
		backoff.Sleep(ctx, a.Duration/time.Duration(times))
		query.Set("connected", "true") // 404 if it was deregistered
		err = errors.Join(err, i.sim.post(context.WithoutCancel(ctx), "instances/agent", query))
	}
	return err
}

func (i *instances) pickConnected(ctx context.Context, a action) (url.Values, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	cluster := i.pickCluster(a)
	if i.claimed[cluster] {
		return nil, nil
	}
	c, err := i.clusterState(ctx, cluster)
	if err != nil || len(c.active) == 0 {
		return nil, err
	}
	return pickInstance(a, c.active), nil
}

// pickCluster returns the ARN of the cluster that an action changes.
func (i *instances) pickCluster(a action) string {
	clusters := clusterARNs(i.places)
	return clusters[int(a.Pick*1000)%len(clusters)]
}

// restore connects every ECS agent and activates every draining instance.
func (i *instances) restore(ctx context.Context) (failed error) {
	for _, cluster := range clusterARNs(i.places) {
		failed = errors.Join(failed, i.restoreCluster(ctx, cluster))
	}
	return failed
}

func (i *instances) restoreCluster(ctx context.Context, cluster string) error {
	state, err := i.sim.clusterState(ctx, cluster)
	for _, instance := range state.Instances {
		query := url.Values{"instance": {instance.ARN}}
		switch {
		case instance.Status == "DRAINING":
			err = errors.Join(err, i.sim.post(ctx, "instances/activate", query))
		case instance.Status == "ACTIVE" && !instance.AgentConnected:
			query.Set("connected", "true")
			err = errors.Join(err, i.sim.post(ctx, "instances/agent", query))
		}
	}
	return err
}
