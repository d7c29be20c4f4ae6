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
)

// late provokes the one case that the design leaves open: a StartTask that reaches ECS long after the settle time, when
// another leader has started a task in its place. The surplus task has to be stopped. It is told apart, and no violation
// unless it stays.
func (c *checker) late(ctx context.Context) error {
	if _, err := c.sim.definition(ctx, "late"); err != nil {
		return err
	}
	join := func() error { return c.sim.post(ctx, "instances", url.Values{"cluster": {"late"}}) }
	if err := join(); err != nil { // its task starts, after which the leader has nothing to ask ECS before the next one
		return err
	}
	var e madeDeployment
	if err := c.users.ask(ctx, 0, http.MethodPost, "/v1/environments", `{"name":"late","instanceGroup":{"cluster":"late"},"taskDefinition":"late"}`, &e); err != nil {
		return err
	}
	if err := c.users.ask(ctx, 0, http.MethodPost, "/v1/environments/late/deployments?deploymentToken="+e.DeploymentToken, "", &e); err != nil {
		return err
	}
	active := func() error {
		_, text, err := c.get(ctx, c.ds[0], "/v1/environments/late")
		var shown shownEnvironment
		if err != nil || json.Unmarshal(text, &shown) != nil || shown.Status != "active" {
			return fmt.Errorf("%s %w", text, err)
		}
		return nil
	}
	if err := c.await(ctx, time.Minute, "the environment late", active); err != nil {
		return err
	}
	leader := c.leader(ctx)
	if leader == "" {
		return errors.New("nobody leads")
	}
	way := c.links[leader+">sim"][0]
	way.hold()
	defer way.deliver()
	if err := join(); err != nil {
		return err
	}
	if err := c.await(ctx, time.Minute, "a StartTask on its way", func() error {
		launches, err := c.etcd.Get(ctx, "ecs/launch/late/", clientv3.WithPrefix())
		if err == nil && (len(launches.Kvs) != 2 || way.holds() == 0) {
			err = fmt.Errorf("%d launches, %d bytes sent", len(launches.Kvs), way.holds())
		}
		return err
	}); err != nil {
		return err
	}
	before := way.holds()
	for sleep(ctx, 300*time.Millisecond) && way.holds() != before { // until all of it is sent
		before = way.holds()
	}
	c.processes[leader].Kill()
	defer func() { _ = c.processes[leader].Start() }()
	live := func(want int) func() error {
		return func() error {
			state, err := c.sim.state(ctx)
			n := 0
			for _, t := range state.Tasks {
				if t.Family == "late" && t.Live() {
					n++
				}
			}
			if err == nil && n != want {
				err = fmt.Errorf("%d live tasks", n)
			}
			return err
		}
	}
	if err := c.await(ctx, 2*time.Minute, "the other leader's task", live(2)); err != nil {
		return err
	}
	counted := func() int {
		counters, _ := c.sim.counters(ctx)
		return counters.PeakByFamily["late"]
	}
	way.deliver()
	began := time.Now()
	if err := c.await(ctx, 10*time.Second, "the late StartTask", func() error {
		if counted() < 2 {
			return errors.New("it has not come")
		}
		return nil
	}); err != nil {
		c.report.say("the open case: the late StartTask did not start a second task (%s)", err)
		return nil
	}
	if err := c.await(ctx, time.Minute, "the surplus task to be stopped", live(2)); err != nil {
		c.report.violated("a surplus task is stopped", "%s", err)
		return nil
	}
	c.report.say("the open case: a StartTask that came after the settle time started a second task, which was stopped within %s", time.Since(began).Round(100*time.Millisecond))
	return nil
}
