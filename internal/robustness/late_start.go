package robustness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/harness"
)

const lateName = "late" // of the cluster, the environment and the family

// checkLateStart provokes a StartTask that reaches ECS after --start-confirm-timeout, when another leader has already
// started a task in its place. That is the one case in which an instance can get two tasks. The scheduler has to stop
// the surplus task; only one that stays is a violation.
func (c *checker) checkLateStart(ctx context.Context) error {
	if err := c.deployLate(ctx); err != nil {
		return err
	}
	leader := c.leader(ctx)
	if leader == "" {
		return errors.New("no leader")
	}
	link := c.proxies[leader+">sim"][0]
	link.Hold()
	defer link.Deliver()
	if err := c.holdStartTask(ctx, link); err != nil {
		return err
	}
	c.processes[leader].Kill()
	defer func() { _ = c.processes[leader].Start() }()
	if err := harness.Await(ctx, 2*time.Minute, "the other leader's task", c.lateTasks(ctx, 2)); err != nil {
		return err
	}
	link.Deliver()
	began := time.Now()
	if err := harness.Await(ctx, 10*time.Second, "the late StartTask", func() error {
		counters, err := c.sim.counters(ctx)
		if err == nil && counters.PeakByFamily[lateName] < 2 {
			err = errors.New("no second task yet")
		}
		return err
	}); err != nil {
		c.history.printf("late StartTask: it did not start a second task (%s)", err)
		return nil
	}
	if err := harness.Await(ctx, time.Minute, "the stop of the surplus task", c.lateTasks(ctx, 2)); err != nil {
		c.history.violation("a surplus task is stopped", "%s", err)
		return nil
	}
	c.history.printf("late StartTask: it started a second task, which was stopped within %s",
		time.Since(began).Round(100*time.Millisecond))
	return nil
}

// deployLate deploys an environment of its own to a cluster of one instance, and waits until it is active.
func (c *checker) deployLate(ctx context.Context) error {
	if _, err := c.sim.registerTaskDefinition(ctx, lateName, false); err != nil {
		return err
	}
	if err := c.registerLateInstance(ctx); err != nil {
		return err
	}
	var e environmentResponse
	body := `{"name":"late","instanceGroup":{"cluster":"late"},"taskDefinition":"late"}`
	if err := c.users.send(ctx, 0, http.MethodPost, "/v1/environments", body, &e); err != nil {
		return err
	}
	path := "/v1/environments/late/deployments?deploymentToken=" + e.DeploymentToken
	if err := c.users.send(ctx, 0, http.MethodPost, path, "", &e); err != nil {
		return err
	}
	return harness.Await(ctx, time.Minute, "environment late", func() error {
		r, err := c.get(ctx, c.ds[0], "/v1/environments/late")
		if err != nil {
			return err
		}
		var e environmentJSON
		if json.Unmarshal(r.body, &e) != nil || e.Status != "active" {
			return fmt.Errorf("not active: %s", r.body)
		}
		return nil
	})
}

func (c *checker) registerLateInstance(ctx context.Context) error {
	return c.sim.post(ctx, "instances", url.Values{"cluster": {home.clusterARN(lateName)}})
}

// holdStartTask registers a second instance and returns when the leader's StartTask for it is held by the proxy. The
// first instance has its task already, so StartTask is the leader's only call.
func (c *checker) holdStartTask(ctx context.Context, link *harness.Proxy) error {
	if err := c.registerLateInstance(ctx); err != nil {
		return err
	}
	err := harness.Await(ctx, time.Minute, "a StartTask in flight", func() error {
		launches, err := c.etcd.Get(ctx, "ecs/launch/late/", clientv3.WithPrefix())
		if err == nil && (len(launches.Kvs) != 2 || link.HeldBytes() == 0) {
			err = fmt.Errorf("%d launches, %d bytes sent", len(launches.Kvs), link.HeldBytes())
		}
		return err
	})
	if err != nil {
		return err
	}
	before := link.HeldBytes()
	for backoff.Sleep(ctx, 300*time.Millisecond) && link.HeldBytes() != before { // until the whole request is sent
		before = link.HeldBytes()
	}
	return ctx.Err()
}

// lateTasks returns a check for the number of live tasks.
func (c *checker) lateTasks(ctx context.Context, want int) func() error {
	return func() error {
		state, err := c.sim.state(ctx)
		n := 0
		for _, t := range state.Tasks {
			if t.Family == lateName && t.Live() {
				n++
			}
		}
		if err == nil && n != want {
			err = fmt.Errorf("%d live tasks, want %d", n, want)
		}
		return err
	}
}
