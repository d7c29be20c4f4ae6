package robustness

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/robustness/rules"
)

const (
	rolloutInterval = 500 * time.Millisecond // between two observations
	loggedChanges   = 20_000                 // of the simulator; more than it makes between two observations
	// Blox knows a change that it did not make after settledDelay, and with faults after faultDelay: the sum of 30 s, the
	// age at which daemon-scheduler treats the cluster state as stale, of 15 s, the time limit of a StopTask, and of
	// 15 s, the longest fault that keeps cluster-state-service from reading the queue and ECS.
	settledDelay, faultDelay = 5 * time.Second, 60 * time.Second
	launchPrefix             = "ecs/launch/"
)

// rolloutCheck checks the promises about rollouts against every change that the simulator makes.
type rolloutCheck struct {
	*system
	users *userClient
	judge *rules.Judge
	last  map[place]int // number of the latest change that was applied

	mu        sync.Mutex
	announced []string // tasks whose replacement Blox has recorded since the last observation
}

func newRolloutCheck(s *system, users *userClient, cfg config) *rolloutCheck {
	delay := settledDelay
	if len(cfg.faults) > 0 {
		delay = faultDelay
	}
	return &rolloutCheck{system: s, users: users, judge: rules.NewJudge(delay), last: map[place]int{}}
}

// run observes until ctx ends.
func (c *rolloutCheck) run(ctx context.Context) {
	for n := 0; backoff.Sleep(ctx, rolloutInterval); n++ {
		c.observe(ctx, c.ds[n%len(c.ds)])
	}
}

// checkObserved checks at the end that the changes of every place were observed: without them, no rule can fail.
func (c *rolloutCheck) checkObserved() {
	for _, p := range c.places {
		if c.last[p] == 0 {
			c.history.violation("the simulator's changes are complete", "%s: none was observed", p)
		}
	}
}

// receiveLaunch receives a write to a launch record.
func (c *rolloutCheck) receiveLaunch(value []byte) {
	var launch struct{ State, Task string }
	if json.Unmarshal(value, &launch) == nil && launch.State == "replacing" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.announced = append(c.announced, launch.Task)
	}
}

// observe applies the simulator's changes and judges every environment by its deployments at a replica.
func (c *rolloutCheck) observe(ctx context.Context, address string) {
	changes := map[place][]ecssim.Change{}
	for _, p := range c.places {
		changes[p], _ = c.sim.in(p).changes(ctx, c.last[p]) // the next observation has them otherwise
	}
	environments := c.users.snapshot() // after the changes, so that it has every environment with tasks
	for _, e := range environments {
		c.judge.Add(e.rules())
	}
	for _, p := range c.places {
		c.apply(p, changes[p])
	}
	c.mu.Lock()
	announced := c.announced
	c.announced = nil
	c.mu.Unlock()
	for _, task := range announced {
		c.judge.Announce(task)
	}
	for _, e := range environments {
		if e.created && !e.deleteSent {
			c.observeDeployments(ctx, address, e.name)
		}
	}
	for _, v := range c.judge.Violations() {
		c.history.violation(v.Promise, "%s", v.Detail)
	}
}

// apply applies the changes of a place.
func (c *rolloutCheck) apply(p place, changes []ecssim.Change) {
	for _, change := range changes {
		if change.Number != c.last[p]+1 {
			c.history.violation("the simulator's changes are complete", "%s: %d follows %d", p, change.Number, c.last[p])
		}
		c.last[p] = change.Number
		c.judge.Apply(change)
	}
}

func (c *rolloutCheck) observeDeployments(ctx context.Context, address, name string) {
	sent := time.Now()
	r, err := c.get(ctx, address, "/v1/environments/"+name+"/deployments")
	var list struct{ Items []rules.Deployment }
	if err != nil || r.status != http.StatusOK || json.Unmarshal(r.body, &list) != nil {
		return // the next observation judges the stops until now
	}
	c.history.count("observations of rollouts", 1)
	c.judge.Observe(name, sent, time.Now(), list.Items)
}

// rules returns what the rules depend on.
func (e *userEnvironment) rules() rules.Environment {
	return rules.Environment{
		Name: e.name, ClusterARN: e.cluster, MinimumHealthy: e.minimumHealthy, StartFirst: e.maxTasks > 1,
		HealthCheck: e.healthCheck, Threshold: e.threshold,
	}
}

// isLaunch reports whether the key is that of a launch record.
func isLaunch(key string) bool { return strings.HasPrefix(key, launchPrefix) }
