package robustness

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"sync"

	"github.com/blox/blox/internal/ecssim"
)

// fleetClusters are where instances come and go; environments are spread over them.
var fleetClusters = []string{"default", "other"}

const fewestInstances, mostInstances = 3, 9 // of a cluster

// fleet is the container instances and what happens to them.
type fleet struct {
	*world
	mu sync.Mutex // one thing happens at a time, so that numbers stay within their bounds
}

func (f *fleet) begin(ctx context.Context) error {
	for _, cluster := range fleetClusters {
		if err := f.sim.post(ctx, "instances", url.Values{"cluster": {cluster}, "count": {strconv.Itoa(fewestInstances + 2)}}); err != nil {
			return err
		}
	}
	return nil
}

// happen does a step of the fleet to one of those that there are.
func (f *fleet) happen(ctx context.Context, s step) error {
	f.mu.Lock()
	locked := true
	unlock := func() {
		if locked {
			locked = false
			f.mu.Unlock()
		}
	}
	defer unlock()
	state, err := f.sim.state(ctx)
	if err != nil {
		return err
	}
	cluster := fleetClusters[int(s.Pick*1000)%len(fleetClusters)]
	there := 0
	var active, draining []ecssim.Instance
	for _, i := range state.Instances {
		switch {
		case i.Status == "INACTIVE" || i.ClusterARN != clusterARN(cluster):
			continue
		case i.Status == "DRAINING":
			draining = append(draining, i)
		case i.AgentConnected:
			active = append(active, i)
		}
		there++
	}
	one := func(of []ecssim.Instance) url.Values {
		return url.Values{"instance": {of[int(s.Pick*float64(len(of)))].ARN}}
	}
	switch {
	case s.Do == "join" && there < mostInstances:
		return f.sim.post(ctx, "instances", url.Values{"cluster": {cluster}})
	case s.Do == "leave" && len(active) > fewestInstances:
		return f.sim.ask(ctx, "DELETE", "instances", one(active), nil, nil)
	case s.Do == "drain" && len(active) > fewestInstances:
		return f.sim.post(ctx, "instances/drain", one(active))
	case s.Do == "activate" && len(draining) > 0:
		return f.sim.post(ctx, "instances/activate", one(draining))
	case s.Do == "fargate":
		return f.sim.post(ctx, "tasks/fargate", url.Values{"cluster": {cluster}, "family": {"web"}})
	case s.Do == "die":
		var live []string
		for _, t := range state.Tasks {
			if t.Live() && t.ClusterARN == clusterARN(cluster) {
				live = append(live, t.ARN)
			}
		}
		if len(live) > 0 {
			return f.sim.post(ctx, "tasks/kill", url.Values{"task": {live[int(s.Pick*float64(len(live)))]}, "exitCode": {"1"}})
		}
	case s.Do == "disconnect" && len(active) > 0:
		which := one(active)
		unlock()
		return f.disconnect(ctx, which, s)
	}
	return nil
}

func (f *fleet) disconnect(ctx context.Context, which url.Values, s step) error {
	which.Set("connected", "false")
	err := f.sim.post(ctx, "instances/agent", which)
	sleep(ctx, s.For)
	which.Set("connected", "true")
	return errors.Join(err, f.sim.post(context.WithoutCancel(ctx), "instances/agent", which)) // 404 when it has left
}

// settle connects every agent, and leaves no instance draining.
func (f *fleet) settle(ctx context.Context) error {
	state, err := f.sim.state(ctx)
	for _, i := range state.Instances {
		switch {
		case i.Status == "DRAINING":
			err = errors.Join(err, f.sim.post(ctx, "instances/activate", url.Values{"instance": {i.ARN}}))
		case i.Status == "ACTIVE" && !i.AgentConnected:
			err = errors.Join(err, f.sim.post(ctx, "instances/agent", url.Values{"instance": {i.ARN}, "connected": {"true"}}))
		}
	}
	return err
}

func clusterARN(name string) string { return "arn:aws:ecs:us-east-1:123456789012:cluster/" + name }
