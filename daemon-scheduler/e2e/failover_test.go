package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// failoverSize is the size of TestReplicas_RunOneTaskOnEachInstanceWhileLeadersFail. BLOX_FAILOVER=long selects the
// promised size, which takes some minutes.
type failoverSize struct {
	environments, instances int
	failures                int      // of leaders; every third is a pause, the others are kills
	flags                   []string // of daemon-scheduler
}

func selectedFailoverSize() failoverSize {
	if os.Getenv("BLOX_FAILOVER") == "long" {
		return failoverSize{20, 200, 15, []string{"--start-confirm-timeout", "5s"}}
	}
	return failoverSize{4, 20, 3, []string{"--start-confirm-timeout", "1s", "--leader-lease", "3s"}}
}

// taskStartFaults makes ECS throttle, fail and lose responses, starts fail, and events arrive twice and out of order.
func taskStartFaults() ecssim.Faults {
	lag := ecssim.Duration(300 * time.Millisecond)
	return ecssim.Faults{
		Throttle: map[string]float64{"ecs": 0.1}, ServerErrors: map[string]float64{"ecs": 0.05},
		LostResponses: map[string]float64{"StartTask": 0.02}, StartFailures: 0.03, ConsistencyLag: lag,
		Events: ecssim.EventFaults{Duplicate: 0.1, Reorder: 0.1, Delay: 0.1, DelayBy: lag},
	}
}

// The leader of three replicas is killed, or paused until another leads, several times, while ECS has faults, instances
// join and tasks fail. No instance ever has two live tasks of one environment. At the end, each instance has one task
// of each environment.
func TestReplicas_RunOneTaskOnEachInstanceWhileLeadersFail(t *testing.T) {
	size := selectedFailoverSize()
	sim := ecssim.New(ecssim.Config{})
	t.Cleanup(sim.Close)
	instances := len(sim.AddInstances("default", size.instances))
	r := startReplicas(t, sim, size.flags)
	deployments := map[string]bool{} // IDs
	for n := range size.environments {
		family := fmt.Sprintf("agent-%d", n)
		sim.RegisterTaskDefinition(family, ecssim.WithCPU(64), ecssim.WithMemory(64))
		deployments[r.deployNew(family, "")] = true
	}
	sim.SetFaults(taskStartFaults())
	for n := range size.failures {
		calls := sim.Calls("StartTask")
		testenv.Eventually(t, func() bool { return sim.Calls("StartTask") >= calls+rand.IntN(5) && r.leader() != "" })
		instances += len(sim.AddInstances("default", 1))
		if tasks := sim.Tasks("default"); len(tasks) > 0 {
			_ = sim.KillTask(tasks[rand.IntN(len(tasks))].ARN, 1) // the task may have stopped already
		}
		if n%3 == 2 {
			r.pauseLeader()
		} else {
			r.replaceLeader()
		}
	}
	awaitOneTaskEach(t, sim, deployments, instances)
	r.checkFailoverTime(sim, deployments, instances)

	counters := sim.Counters()
	assert.Empty(t, counters.Violations)
	for family, peak := range counters.PeakByFamily {
		assert.Equal(t, 1, peak, "live tasks of %s at once on one instance", family)
	}
	t.Log(counters.Calls["StartTask"])
}

// pauseLeader pauses the leader until another replica leads.
func (r *replicas) pauseLeader() {
	r.t.Helper()
	leader, began := r.leader(), time.Now()
	r.running[leader].Pause()
	others := *r
	others.addresses = slices.DeleteFunc(slices.Clone(r.addresses), func(a string) bool { return a == leader })
	testenv.Eventually(r.t, func() bool { return others.leader() != "" })
	r.running[leader].Resume()
	r.t.Logf("the leader was paused; another led after %s", time.Since(began).Round(time.Millisecond))
}

// replaceLeader kills the leader, and starts it again when another replica leads.
func (r *replicas) replaceLeader() {
	r.t.Helper()
	leader, began := r.leader(), time.Now()
	r.running[leader].Kill()
	r.awaitLeaderOtherThan(leader)
	r.t.Logf("the leader was killed; another led after %s", time.Since(began).Round(time.Millisecond))
	r.running[leader] = r.start(leader)
}

// checkFailoverTime ends the faults and kills the leader as an instance joins. It logs when the instance has its
// tasks.
func (r *replicas) checkFailoverTime(sim *ecssim.Sim, deployments map[string]bool, instances int) {
	r.t.Helper()
	sim.SetFaults(ecssim.Faults{})
	leader, began := r.leader(), time.Now()
	r.running[leader].Kill()
	instances += len(sim.AddInstances("default", 1))
	r.awaitLeaderOtherThan(leader)
	led := time.Since(began)
	awaitOneTaskEach(r.t, sim, deployments, instances)
	r.t.Logf("the leader was killed as an instance joined; another led after %s, and the instance had its tasks after %s",
		led.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// A rollout continues when its leader is killed, and never leaves more instances without a running task than allowed.
func TestReplicas_ContinueARolloutWhenTheLeaderIsKilled(t *testing.T) {
	const instances, minRunning = 20, 16
	sim := ecssim.New(ecssim.Config{PendingDelay: 20 * time.Millisecond, StopDelay: 20 * time.Millisecond})
	t.Cleanup(sim.Close)
	sim.AddInstances("default", instances)
	r := startReplicas(t, sim, []string{"--start-confirm-timeout", "1s", "--leader-lease", "3s"})
	sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	first := r.deployNew("agent", `,"deploymentConfiguration":{"minimumHealthyPercent":80}`)
	const path = "/v1/environments/agent"
	completed := func(id string) bool {
		var shown struct{ Status string }
		r.mustCall(http.MethodGet, r.anyRunning(), path+"/deployments/"+id, "", &shown)
		return shown.Status == "completed"
	}
	testenv.Eventually(t, func() bool { return completed(first) }, "the first deployment does not complete")
	awaitOneTaskEach(t, sim, map[string]bool{first: true}, instances)
	sim.ResetCounters()

	sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	var shown struct{ DeploymentToken, ID string }
	r.mustCall(http.MethodGet, r.addresses[0], path, "", &shown)
	r.mustCall(http.MethodPatch, r.addresses[0], path+"?deploymentToken="+shown.DeploymentToken,
		`{"taskDefinition":"agent:2"}`, &shown)
	r.mustCall(http.MethodPost, r.addresses[0], path+"/deployments?deploymentToken="+shown.DeploymentToken, "", &shown)
	second := shown.ID
	for kill := range 2 {
		testenv.Eventually(t, func() bool { return liveTasks(sim, second) > kill*4 && r.leader() != "" })
		leader := r.leader()
		r.running[leader].Kill()
		delete(r.running, leader)
		r.awaitLeaderOtherThan(leader)
	}
	testenv.Eventually(t, func() bool { return completed(second) }, "the rollout does not complete")
	awaitOneTaskEach(t, sim, map[string]bool{second: true}, instances)
	counters := sim.Counters()
	assert.Empty(t, counters.Violations)
	assert.GreaterOrEqual(t, counters.FewestRunning["agent"], minRunning)
	assert.Zero(t, counters.MostDuplicated["agent"])
}

// deployNew creates an environment with the family's name, with more JSON fields if given, and deploys it. It returns
// the deployment's ID.
func (r *replicas) deployNew(family, fields string) string {
	r.t.Helper()
	var created struct{ DeploymentToken, ID string }
	r.mustCall(http.MethodPost, r.addresses[0], "/v1/environments", fmt.Sprintf(
		`{"name":%q,"instanceGroup":{"cluster":"default"},"taskDefinition":%q%s}`, family, family, fields), &created)
	path := "/v1/environments/" + family + "/deployments?deploymentToken=" + created.DeploymentToken
	r.mustCall(http.MethodPost, r.addresses[0], path, "", &created)
	return created.ID
}

// liveTasks returns the number of the deployment's live tasks.
func liveTasks(sim *ecssim.Sim, deployment string) (n int) {
	for _, task := range sim.Tasks("") {
		if task.StartedBy == deployment && task.Live() {
			n++
		}
	}
	return n
}

// progressTimeout is long, because only a failing test waits for it and retries after failed starts take their time.
const progressTimeout = 5 * time.Minute

// awaitOneTaskEach returns when each instance has one RUNNING task of each deployment, and there are no other tasks.
// It waits for as long as that gets nearer.
func awaitOneTaskEach(t *testing.T, sim *ecssim.Sim, deployments map[string]bool, instances int) {
	t.Helper()
	deadline := time.Now().Add(progressTimeout)
	least := math.MaxInt
	for wrong := wrongTasks(sim, deployments, instances); wrong > 0; wrong = wrongTasks(sim, deployments, instances) {
		if wrong < least {
			least = wrong
			deadline = time.Now().Add(progressTimeout)
		}
		require.False(t, time.Now().After(deadline), "%d tasks are missing, too many or not running", wrong)
		time.Sleep(20 * time.Millisecond)
	}
}

// wrongTasks returns how many tasks are missing, too many, or not RUNNING.
func wrongTasks(sim *ecssim.Sim, deployments map[string]bool, instances int) (wrong int) {
	running := map[string]int{} // by startedBy
	for _, task := range sim.Tasks("default") {
		switch {
		case !task.Live():
		case task.LastStatus == "RUNNING" && deployments[task.StartedBy]:
			running[task.StartedBy]++
		default:
			wrong++
		}
	}
	for id := range deployments {
		wrong += max(instances-running[id], running[id]-instances)
	}
	return wrong
}
