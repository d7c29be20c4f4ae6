package planner

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/query"
)

// faultyFleet is a fleet with faults: instances join, leave and disconnect, tasks stop, the cluster state lags,
// answers of StartTask are lost or refuse the start, leaders change, clocks differ, phantoms appear, and users act at
// random.
type faultyFleet struct {
	*fleet
	seed           uint64
	disrupted      map[string]bool // instances whose running task a rollout has stopped, and that have had none since
	serial         int
	refusals       map[string]int  // failed starts, by deployment
	injectFailures bool            // whether starts fail and deployments are bad now and then
	completed      map[string]bool // deployments, by id
	expected       string          // the id of the deployment that has to be current
	seen           map[string]sighted
	steps          stepWatch
	history        []string
	rounds         int
	bakeBegan      map[string]time.Time // by ECS's clock, by deployment
}

func newFaultyFleet(t *testing.T, seed uint64) *faultyFleet {
	u := &faultyFleet{
		fleet:          &fleet{Rand: rand.New(rand.NewPCG(seed, 3))},
		seed:           seed,
		disrupted:      map[string]bool{},
		refusals:       map[string]int{},
		injectFailures: true,
		completed:      map[string]bool{},
		bakeBegan:      map[string]time.Time{},
	}
	f := newFleet(t, seed, 12+int(seed%13), u.spec())
	f.Rand = u.Rand
	u.fleet = f
	u.expectCurrent()
	broken := map[string]int{} // by deployment: 0 undecided, 1 good, 2 never runs, 3 dies after it ran
	f.bad = func(deployment, instance string) bool {
		if !u.injectFailures || deployment == earlier {
			return false
		}
		if broken[deployment] == 0 {
			broken[deployment] = 1 + f.IntN(6)
		}
		task := f.liveOf(deployment, instance)
		switch broken[deployment] {
		case 2:
			return true
		case 3:
			return task.LastStatus == "RUNNING" && f.IntN(3) == 0
		}
		return false
	}
	return u
}

func (f *fleet) liveOf(deployment, instance string) environment.Task {
	for _, task := range f.tasks {
		if task.Live() && task.StartedBy == deployment && task.Instance == instance {
			return task
		}
	}
	return environment.Task{}
}

// spec returns a spec with a random deployment configuration.
func (u *faultyFleet) spec() environment.Spec {
	u.serial++
	spec := environment.Spec{TaskDefinition: fmt.Sprintf("arn:td:%d", 2+u.serial)}
	least := []int{0, 50, 75, 90, 100}[u.IntN(5)]
	most := []int{100, 100, 101, 125, 150, 200}[u.IntN(6)]
	c := percent(least, most)
	if u.IntN(3) == 0 {
		c.CircuitBreaker = environment.CircuitBreaker{Enable: true, Rollback: u.IntN(2) == 0, Threshold: 1 + u.IntN(8)}
	}
	switch u.IntN(7) {
	case 0:
		c.Canary = &environment.Canary{Percent: 10 + u.IntN(60)}
	case 2, 3:
		c.Canary = u.canarySteps()
	case 1:
		c.Canary = &environment.Canary{Query: "attribute:zone == b"}
	}
	if u.IntN(5) == 0 {
		c.BakeTimeInMinutes = 1
	}
	if u.IntN(4) == 0 {
		c.SpreadBy = "attribute:zone"
	}
	spec.DeploymentConfiguration = c
	if u.IntN(4) == 0 {
		spec.Query = "attribute:zone in [a, b]"
	}
	return spec
}

func (u *faultyFleet) id() string {
	u.serial++
	return fmt.Sprintf("%08d-3333-4333-8333-333333333333", u.serial)
}

func (u *faultyFleet) logf(format string, args ...any) {
	u.history = append(u.history, u.state.Now.Format("04:05 ")+fmt.Sprintf(format, args...))
}

// actAsUser makes a random change as a user.
func (u *faultyFleet) actAsUser() {
	e, now := u.state.Environment, u.requestTime()
	d, inProgress := e.InProgress()
	var next environment.Environment
	var err error
	what := u.IntN(7)
	switch what {
	case 0:
		next, err = u.deploy()
	case 1:
		next, err = e.Rollback(u.id(), now)
	case 2:
		next, err = e.Promote(d.ID)
		if u.IntN(4) == 0 {
			next, err = e.PromoteFully(d.ID)
		}
	case 3:
		next, err = e.Pause(now)
	case 4:
		next, err = e.Resume()
	default:
		kind := environment.StopRollback
		if what == 5 {
			kind = environment.StopAbort
		}
		if !inProgress {
			return
		}
		next, err = e.Stop(d.ID, kind, u.id(), now)
	}
	if err == nil {
		u.state.Environment = next
		u.expectCurrent()
		c, _ := next.Current()
		rules := next.RevisionFor(c).Spec.DeploymentConfiguration
		u.logf(
			"user %d: now %s least %d most %d canary %v",
			what,
			c.ID[:8],
			rules.MinimumHealthy(),
			rules.Maximum(),
			rules.Canary,
		)
	}
}

// deploy returns the environment with a deployment of a new revision. Two replicas take the requests.
func (u *faultyFleet) deploy() (next environment.Environment, err error) {
	token, id := u.id(), u.id()
	next, err = u.state.Environment.Update(u.spec(), u.state.Environment.Token, token, u.requestTime())
	if err == nil {
		next, err = next.Deploy(id, token, u.requestTime())
	}
	if err == nil {
		created, _ := next.Current()
		require.Equal(u.t, id, created.ID, "seed %d: a new deployment is not current", u.seed)
	}
	return next, err
}

// injectFault makes a random change to the fleet.
func (u *faultyFleet) injectFault() {
	pick := func() *environment.Instance { return &u.state.Instances[u.IntN(len(u.state.Instances))] }
	switch u.IntN(17) {
	case 0:
		u.serial++
		arn := fmt.Sprintf("h%03d", u.serial)
		u.logf("%s joins", arn)
		u.state.Instances = append(u.state.Instances, environment.Instance{
			ARN: arn, Status: "ACTIVE", AgentConnected: true, Attributes: query.Map{"zone": string(rune('a' + u.serial%3))},
		})
	case 1:
		if len(u.state.Instances) < 8 {
			return
		}
		i := u.IntN(len(u.state.Instances))
		left := u.state.Instances[i].ARN
		u.logf("%s leaves", left)
		u.state.Instances = slices.Delete(slices.Clone(u.state.Instances), i, i+1)
		delete(u.disrupted, left)
		for arn, task := range u.tasks {
			if task.Instance == left && task.Live() {
				u.die(arn)
			}
		}
	case 2, 3, 4:
		at := pick()
		at.AgentConnected = u.IntN(2) == 0
		u.logf("%s connected %v", at.ARN, at.AgentConnected)
	case 5, 6:
		for _, arn := range slices.Sorted(maps.Keys(u.tasks)) {
			if u.tasks[arn].Live() && u.IntN(20) == 0 {
				u.logf("%s dies on %s", arn, u.tasks[arn].Instance)
				u.die(arn)
				break
			}
		}
	case 7:
		u.state.Fresh = !u.state.Fresh
	case 8:
		u.full[pick().ARN] = u.IntN(2) == 0 && u.injectFailures
	case 9:
		u.changeLeader()
	case 10:
		u.actAsUser()
	case 11, 12: // a drain begins, or is cancelled
		at := pick()
		at.Status = []string{"ACTIVE", "DRAINING"}[u.IntN(2)]
		delete(u.disrupted, at.ARN)
		u.logf("%s %s", at.ARN, at.Status)
	case 13:
		u.stopByHand()
	case 14:
		u.showPhantom()
	case 15:
		u.removePhantoms()
	case 16: // every agent loses its connection at once
		if u.IntN(4) == 0 {
			u.logf("all agents away")
			for i := range u.state.Instances {
				u.state.Instances[i].AgentConnected = false
			}
		}
	}
}

// stopByHand stops a task as a user does.
func (u *faultyFleet) stopByHand() {
	for _, arn := range slices.Sorted(maps.Keys(u.tasks)) {
		if task := u.tasks[arn]; task.Live() && !task.Stopping() && u.IntN(10) == 0 {
			task.DesiredStatus, task.StopCode, task.StoppedReason = "STOPPED", "UserInitiated", "stopped by hand"
			u.tasks[arn] = task
			u.logf("%s stopped by hand on %s", arn, task.Instance)
			return
		}
	}
}

// observeAgents records since when agents are disconnected.
func (u *faultyFleet) observeAgents() {
	since := map[string]time.Time{}
	for _, i := range u.state.Instances {
		if i.AgentConnected {
			continue
		}
		since[i.ARN] = u.state.Now
		if lost, known := u.state.DisconnectedSince[i.ARN]; known {
			since[i.ARN] = lost
		}
	}
	u.state.DisconnectedSince = since
}

func (u *faultyFleet) connected(instance string) bool {
	return slices.ContainsFunc(
		u.state.Instances,
		func(i environment.Instance) bool { return i.ARN == instance && i.AgentConnected },
	)
}

// advanceTasks lets tasks start and stop on connected instances.
func (u *faultyFleet) advanceTasks() {
	for _, arn := range slices.Sorted(maps.Keys(u.tasks)) {
		task := u.tasks[arn]
		switch {
		case !task.Live() || u.IntN(3) == 0 || !u.connected(task.Instance):
		case task.Stopping(), u.bad(task.StartedBy, task.Instance):
			u.die(arn)
		case task.LastStatus == "PENDING":
			u.run(arn)
		}
	}
	u.clearRecovered()
}

func (u *faultyFleet) clearRecovered() {
	for _, task := range u.tasks {
		if task.Running() {
			delete(u.disrupted, task.Instance)
		}
	}
}
