package robustness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/harness"
)

const (
	outageName      = "outage" // of the cluster in each place; begins the names of its environments
	outageInstances = 3        // of each cluster
	// outageCount is the number of environments of each place: more than outageWorkers, so that calls without a response
	// could occupy every worker of daemon-scheduler.
	outageCount, outageWorkers = 6, 4
	outageTime                 = 7 * time.Second
	// isolationTimeout bounds the time until a new instance has its task while another account or region is out. A call
	// that does not respond lasts longer.
	isolationTimeout = 5 * time.Second
	silence          = ecssim.Duration(time.Hour)

	promiseIsolated = "an outage of one account and region does not affect others"
)

// regionOutage is a way in which one account and region fails.
type regionOutage struct {
	name       string
	begin, end func(context.Context, *checker, place) error
}

var regionOutages = []regionOutage{
	{"AWS returns 503", setDown(true), setDown(false)},
	{"AWS does not respond",
		setPlaceFaults(ecssim.Faults{Latency: map[string]ecssim.Duration{"ecs": silence, "sqs": silence}}),
		setPlaceFaults(ecssim.Faults{})},
}

func setDown(down bool) func(context.Context, *checker, place) error {
	return func(ctx context.Context, c *checker, p place) error {
		return errors.Join(c.sim.in(p).setDown(ctx, "ecs", down), c.sim.in(p).setDown(ctx, "sqs", down))
	}
}

func setPlaceFaults(f ecssim.Faults) func(context.Context, *checker, place) error {
	return func(ctx context.Context, c *checker, p place) error { return c.sim.in(p).setFaults(ctx, f) }
}

// checkRegionOutages makes ECS and SQS of each account and region fail in each way, and then the role. Meanwhile
// instances are replaced. The places that work must start each one's task in time; the others after the outage. No
// other fault is present.
func (c *checker) checkRegionOutages(ctx context.Context, faults *simulatorFaults, recovery time.Duration) error {
	if err := c.deployOutages(ctx); err != nil {
		return err
	}
	for _, victim := range c.places {
		for _, o := range regionOutages {
			if err := o.begin(ctx, c, victim); err != nil {
				return err
			}
			c.checkOthers(ctx, o.name, func(p place) bool { return p != victim })
			if err := o.end(ctx, c, victim); err != nil {
				return err
			}
			c.awaitOutagesOver(ctx, o.name, recovery)
		}
	}
	if !slices.ContainsFunc(c.places, hasRole) {
		return nil
	}
	return faults.revokeRole(ctx, func() {
		c.checkOthers(ctx, "the role is revoked", func(p place) bool { return !hasRole(p) })
	})
}

func hasRole(p place) bool { return p.role != "" }

// deployOutages deploys environments to a cluster of their own in each place, and waits until each instance has its
// tasks.
func (c *checker) deployOutages(ctx context.Context) error {
	for n, p := range c.places {
		query := url.Values{"cluster": {p.clusterARN(outageName)}, "count": {fmt.Sprint(outageInstances)}}
		if err := c.sim.post(ctx, "instances", query); err != nil {
			return err
		}
		for _, name := range outageEnvironments(n) {
			if err := c.deployOutage(ctx, p, name); err != nil {
				return err
			}
		}
	}
	for n, p := range c.places {
		if err := harness.Await(ctx, time.Minute, "environments of "+p.String(), func() error {
			return c.checkOutageEnvironments(ctx, n)
		}); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) deployOutage(ctx context.Context, p place, name string) error {
	if _, err := c.sim.in(p).registerTaskDefinition(ctx, name, false); err != nil {
		return err
	}
	var e environmentResponse
	body := fmt.Sprintf(`{"name":%q,"instanceGroup":{"cluster":%q},"taskDefinition":%q,"role":%q}`,
		name, p.clusterARN(outageName), name, p.role)
	if err := c.users.send(ctx, 0, http.MethodPost, "/v1/environments", body, &e); err != nil {
		return err
	}
	path := "/v1/environments/" + name + "/deployments?deploymentToken=" + e.DeploymentToken
	return c.users.send(ctx, 0, http.MethodPost, path, "", nil)
}

// outageEnvironments returns the names of the environments of a place, which are those of their families, too.
func outageEnvironments(place int) (names []string) {
	for n := range outageCount {
		names = append(names, fmt.Sprintf("%s-%d-%d", outageName, place, n))
	}
	return names
}

// checkOthers replaces instances while the outage lasts. The places that work must start their tasks in time.
func (c *checker) checkOthers(ctx context.Context, outage string, works func(place) bool) {
	for _, p := range c.places {
		if err := c.replaceInstance(ctx, p.clusterARN(outageName)); err != nil {
			c.history.printf("%s: %s: no instance replaced: %s", outage, p, err)
		}
	}
	longest := time.Duration(0)
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < outageTime; {
		for n, p := range c.places {
			if works(p) {
				longest = max(longest, c.checkOther(ctx, outage, n))
			}
		}
	}
	c.history.event("region outage", map[string]any{"outage": outage, "longest": longest.Seconds()})
	c.history.count("region outages", 1)
}

// checkOther replaces an instance of a place that works, and returns the time until the new one has its task.
func (c *checker) checkOther(ctx context.Context, outage string, n int) time.Duration {
	began := time.Now()
	err := c.replaceInstance(ctx, c.places[n].clusterARN(outageName))
	if err == nil {
		err = harness.Await(ctx, isolationTimeout, "its environments", func() error {
			return c.checkOutageEnvironments(ctx, n)
		})
	}
	if err != nil && ctx.Err() == nil {
		c.history.violation(promiseIsolated, "%s elsewhere: %s: %s", outage, c.places[n], err)
	}
	return time.Since(began)
}

// replaceInstance deregisters an instance of a cluster and registers another one. A task that ends would not do: Blox
// replaces it after a delay that grows.
func (c *checker) replaceInstance(ctx context.Context, cluster string) error {
	state, err := c.sim.clusterState(ctx, cluster)
	if err != nil {
		return err
	}
	for _, i := range state.Instances { // the oldest first
		if i.Status == "ACTIVE" {
			err = c.sim.call(ctx, http.MethodDelete, "instances", url.Values{"instance": {i.ARN}}, nil, nil)
			break
		}
	}
	return errors.Join(err, c.sim.post(ctx, "instances", url.Values{"cluster": {cluster}}))
}

// checkOutageEnvironments returns nil if each instance of a place has one running task of each environment, and no
// environment has a condition.
func (c *checker) checkOutageEnvironments(ctx context.Context, n int) error {
	state, err := c.sim.clusterState(ctx, c.places[n].clusterARN(outageName))
	if err != nil {
		return err
	}
	running := map[[2]string]int{} // tasks by instance and family
	for _, t := range state.Tasks {
		if t.LastStatus == "RUNNING" {
			running[[2]string{t.InstanceARN, t.Family}]++
		}
	}
	for _, name := range outageEnvironments(n) {
		for _, i := range state.Instances {
			if count := running[[2]string{i.ARN, name}]; i.Status == "ACTIVE" && count != 1 {
				return fmt.Errorf("%s: %d running tasks on %s", name, count, i.ARN)
			}
		}
		if err := c.checkNoCondition(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkNoCondition(ctx context.Context, name string) error {
	r, err := c.get(ctx, c.ds[0], "/v1/environments/"+name)
	var e struct {
		Status     string
		Conditions []struct{ Type, Reason string }
	}
	if err != nil || r.status != http.StatusOK || json.Unmarshal(r.body, &e) != nil {
		return fmt.Errorf("%d: %s: %w", r.status, strings.TrimSpace(string(r.body)), err)
	}
	if e.Status != "active" || len(e.Conditions) > 0 {
		return fmt.Errorf("%s: %s, with conditions %v", name, e.Status, e.Conditions)
	}
	return nil
}

// awaitOutagesOver waits until every place has recovered.
func (c *checker) awaitOutagesOver(ctx context.Context, outage string, timeout time.Duration) {
	for n, p := range c.places {
		err := harness.Await(ctx, timeout, "its environments", func() error {
			return c.checkOutageEnvironments(ctx, n)
		})
		if err != nil && ctx.Err() == nil {
			c.history.violation("each environment recovers", "after %s: %s: %s", outage, p, err)
		}
	}
}
