package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// chaos is how much goes on in TestOneTaskEachWhileLeadersDie. BLOX_CHAOS=long is the promise's own size, and takes some minutes.
type chaos struct {
	environments, instances int
	strikes                 int      // a third of the strikes stop the leader for a while; the others kill it
	flags                   []string // of daemon-scheduler
}

func chaosOfThisRun() chaos {
	if os.Getenv("BLOX_CHAOS") == "long" {
		return chaos{20, 200, 15, []string{"--launch-settle", "5s"}}
	}
	return chaos{4, 20, 3, []string{"--launch-settle", "1s", "--leader-lease", "3s"}}
}

// replicas are daemon-schedulers, each a process with an address of its own.
type replicas struct {
	t         *testing.T
	client    *http.Client
	addresses []string
	running   map[string]*process // by address
	start     func(address string) *process
}

// leader is the address of the replica that leads, as another one tells; "" when none does.
func (r *replicas) leader() string {
	for _, address := range r.addresses {
		answer, err := r.client.Get("http://" + address + "/v1/ready")
		if err != nil {
			continue
		}
		var ready struct{ Leader string }
		err = json.NewDecoder(answer.Body).Decode(&ready)
		answer.Body.Close()
		if err != nil {
			continue
		}
		for _, one := range r.addresses {
			if _, port, _ := strings.Cut(one, ":"); strings.Contains(ready.Leader, ":"+port+"-") {
				return one
			}
		}
	}
	return ""
}

func (r *replicas) call(method, address, path, body string, into any) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+address+path, strings.NewReader(body))
	require.NoError(r.t, err)
	answer, err := r.client.Do(request)
	require.NoError(r.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, answer.StatusCode, "%s", text)
	if into != nil {
		require.NoError(r.t, json.Unmarshal(text, into))
	}
}

// startReplicas runs a cluster-state-service and three daemon-schedulers on sim, and returns once they are ready.
func startReplicas(t *testing.T, sim *ecssim.Sim, flags []string) *replicas {
	t.Helper()
	aws := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); aws.Close() })
	etcd := testenv.EtcdServer(t)
	environment := []string{
		"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL=" + aws.URL, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"CSS_LOG_LEVEL=error", "DS_LOG_LEVEL=error",
	}
	css := testenv.Address(t)
	execute(t, environment, "cluster-state-service", "--bind", css, "--etcd-endpoint", etcd.Endpoints()[0], "--queue", "blox_queue")
	r := &replicas{t: t, client: &http.Client{}, running: map[string]*process{}}
	t.Cleanup(r.client.CloseIdleConnections)
	r.start = func(address string) *process {
		return execute(t, environment, "daemon-scheduler", append([]string{"--bind", address, "--css-endpoint", css,
			"--etcd-endpoint", etcd.Endpoints()[0]}, flags...)...)
	}
	for range 3 {
		address := testenv.Address(t)
		r.addresses = append(r.addresses, address)
		r.running[address] = r.start(address)
	}
	for _, address := range r.addresses {
		testenv.Eventually(t, func() bool {
			answer, err := r.client.Get("http://" + address + "/v1/ready")
			if err == nil {
				answer.Body.Close()
			}
			return err == nil && answer.StatusCode == http.StatusOK
		})
	}
	return r
}

// While ECS throttles, fails and loses answers, events come twice and out of order and starts fail, the leading
// daemon-scheduler of three is killed, or stopped until another leads, again and again; instances join and tasks die meanwhile.
// No instance ever has two live tasks of one environment, and in the end each has one of each.
func TestOneTaskEachWhileLeadersDie(t *testing.T) {
	size := chaosOfThisRun()
	sim := ecssim.New(ecssim.Config{})
	instances := sim.AddInstances("default", size.instances)
	r := startReplicas(t, sim, size.flags)
	ids := map[string]string{} // deployment to family
	for n := range size.environments {
		family := fmt.Sprintf("agent-%d", n)
		sim.RegisterTaskDefinition(family, ecssim.WithCPU(64), ecssim.WithMemory(64))
		var made struct{ DeploymentToken, ID string }
		r.call(http.MethodPost, r.addresses[0], "/v1/environments", fmt.Sprintf(
			`{"name":%q,"instanceGroup":{"cluster":"default"},"taskDefinition":%q}`, family, family), &made)
		r.call(http.MethodPost, r.addresses[0], "/v1/environments/"+family+"/deployments?deploymentToken="+made.DeploymentToken, "", &made)
		ids[made.ID] = family
	}
	sim.SetFaults(ecssim.Faults{
		Throttle: map[string]float64{"ecs": 0.1}, ServerErrors: map[string]float64{"ecs": 0.05}, LostAnswers: map[string]float64{"StartTask": 0.02},
		StartFailures: 0.03, ConsistencyLag: ecssim.Duration(300 * time.Millisecond),
		Events: ecssim.EventFaults{Duplicate: 0.1, Reorder: 0.1, Delay: 0.1, DelayBy: ecssim.Duration(300 * time.Millisecond)},
	})

	for kill := range size.strikes {
		calls := sim.Calls("StartTask")
		testenv.Eventually(t, func() bool { return sim.Calls("StartTask") >= calls+rand.IntN(5) && r.leader() != "" })
		leader := r.leader()
		instances = append(instances, sim.AddInstances("default", 1)...)
		if tasks := sim.Tasks("default"); len(tasks) > 0 {
			_ = sim.KillTask(tasks[rand.IntN(len(tasks))].ARN, 1) // or it is dead already
		}
		began := time.Now()
		if kill%3 == 2 { // it goes on where it was when another leads already
			require.NoError(t, r.running[leader].cmd.Process.Signal(syscall.SIGSTOP))
			others := slices.DeleteFunc(slices.Clone(r.addresses), func(a string) bool { return a == leader })
			rest := &replicas{t: t, client: r.client, addresses: others}
			testenv.Eventually(t, func() bool { return rest.leader() != "" })
			require.NoError(t, r.running[leader].cmd.Process.Signal(syscall.SIGCONT))
			t.Logf("the leader was stopped; another led after %s", time.Since(began).Round(time.Millisecond))
			continue
		}
		r.running[leader].end(syscall.SIGKILL)
		testenv.Eventually(t, func() bool { now := r.leader(); return now != "" && now != leader })
		t.Logf("the leader was killed; another led after %s", time.Since(began).Round(time.Millisecond))
		r.running[leader] = r.start(leader)
	}
	patiently(t, func() bool { return oneEach(sim, ids, len(instances)) }, "not one task of each environment on each instance")

	// All is well, so that no launch is open: how long is a new instance without its tasks when the leader dies?
	sim.SetFaults(ecssim.Faults{})
	leader := r.leader()
	began := time.Now()
	r.running[leader].end(syscall.SIGKILL)
	instances = append(instances, sim.AddInstances("default", 1)...)
	testenv.Eventually(t, func() bool { now := r.leader(); return now != "" && now != leader })
	led := time.Since(began)
	testenv.Eventually(t, func() bool { return oneEach(sim, ids, len(instances)) }, "the new instance lacks tasks")
	t.Logf("the leader was killed as an instance joined; another led after %s, and the instance had all of its tasks after %s",
		led.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))

	counters := sim.Counters()
	assert.Empty(t, counters.Violations)
	for family, peak := range counters.PeakByFamily {
		assert.Equal(t, 1, peak, "live tasks of %s at once on one instance", family)
	}
	t.Log(counters.Calls["StartTask"])
}

// A leader that is killed in the middle of a rollout leaves it to another one, and at no moment have fewer instances a running
// task than are to keep one.
func TestARolloutGoesOnWhenItsLeaderIsKilled(t *testing.T) {
	const n, least = 20, 16
	sim := ecssim.New(ecssim.Config{PendingDelay: 20 * time.Millisecond, StopDelay: 20 * time.Millisecond})
	instances := sim.AddInstances("default", n)
	r := startReplicas(t, sim, []string{"--launch-settle", "1s", "--leader-lease", "3s"})
	sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	var made struct{ DeploymentToken, ID string }
	r.call(http.MethodPost, r.addresses[0], "/v1/environments",
		`{"name":"logs","instanceGroup":{"cluster":"default"},"taskDefinition":"agent","deploymentConfiguration":{"minimumHealthyPercent":80}}`, &made)
	path := "/v1/environments/logs"
	r.call(http.MethodPost, r.addresses[0], path+"/deployments?deploymentToken="+made.DeploymentToken, "", &made)
	completed := func(id string) bool {
		var shown struct{ Status string }
		r.call(http.MethodGet, r.api(), path+"/deployments/"+id, "", &shown)
		return shown.Status == "completed"
	}
	testenv.Eventually(t, func() bool { return completed(made.ID) && oneEach(sim, map[string]string{made.ID: "agent"}, n) })
	sim.ResetCounters()

	sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	r.call(http.MethodPatch, r.addresses[0], path+"?deploymentToken="+made.DeploymentToken, `{"taskDefinition":"agent:2"}`, &made)
	r.call(http.MethodPost, r.addresses[0], path+"/deployments?deploymentToken="+made.DeploymentToken, "", &made)
	for kill := range 2 {
		testenv.Eventually(t, func() bool { return started(sim, made.ID) > kill*4 && r.leader() != "" })
		leader := r.leader()
		r.running[leader].end(syscall.SIGKILL)
		delete(r.running, leader)
		testenv.Eventually(t, func() bool { now := r.leader(); return now != "" && now != leader })
	}
	testenv.Eventually(t, func() bool { return completed(made.ID) }, "the rollout does not end")
	testenv.Eventually(t, func() bool { return oneEach(sim, map[string]string{made.ID: "agent"}, len(instances)) })
	counters := sim.Counters()
	assert.Empty(t, counters.Violations)
	assert.GreaterOrEqual(t, counters.FewestRunning["agent"], least)
	assert.Zero(t, counters.MostDoubled["agent"])
}

// api is the address of a replica that was not killed.
func (r *replicas) api() string {
	for address := range r.running {
		return address
	}
	return ""
}

// started is how many live tasks the deployment has.
func started(sim *ecssim.Sim, deployment string) (n int) {
	for _, task := range sim.Tasks("") {
		if task.StartedBy == deployment && task.Live() {
			n++
		}
	}
	return n
}

// patiently is testenv.Eventually for what takes minutes when it is large.
func patiently(t *testing.T, done func() bool, message string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !done(); time.Sleep(100 * time.Millisecond) {
		require.False(t, time.Now().After(deadline), message)
	}
}

// oneEach tells whether each of so many instances has one RUNNING task of each deployment.
func oneEach(sim *ecssim.Sim, deployments map[string]string, instances int) bool {
	running := map[string]int{}
	for _, task := range sim.Tasks("default") {
		if !task.Live() {
			continue
		}
		if task.LastStatus != "RUNNING" {
			return false
		}
		running[task.StartedBy]++
	}
	for id := range maps.Keys(deployments) {
		if running[id] != instances {
			return false
		}
	}
	return len(running) == len(deployments)
}
