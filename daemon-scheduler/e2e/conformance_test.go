package e2e

import (
	"context"
	"flag"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	clusterstate "github.com/blox/blox/cluster-state-service"
	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/ecssim/conformance"
	"github.com/blox/blox/internal/testenv"
)

var (
	longRunDuration = flag.Duration("conformance", 10*time.Second, "duration of TestConformance_LongRun")
	longRunSeed     = flag.Uint64("conformance-seed", 1, "seed of TestConformance_LongRun")
)

// longRunConfig has ECS's own API limits, and delays short enough for much to happen.
var longRunConfig = ecssim.Config{
	APILimits: true, StreamName: "events", StreamShards: 2, DeadLetterQueue: "undelivered",
	PendingDelay: 200 * time.Millisecond, StopDelay: 200 * time.Millisecond, HealthDelay: 300 * time.Millisecond,
	LostHostDelay: 5 * time.Second, RetryBackoff: 50 * time.Millisecond,
}

// longRun is both services against two accounts, with every call and answer validated.
type longRun struct {
	*scheduler
	member    *system
	validated *conformance.Validator
	random    *rand.Rand
	done      map[string]int // actions by name
	refused   int            // requests to Blox that it refused, such as a deployment during another one
}

// Both services work through faults of AWS, of the caller and of hosts, on ECS's own API limits, with SQS and Kinesis
// and in two accounts. No call and no answer violates the API models. "make conformance" runs it for longer.
func TestConformance_LongRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs for a while")
	}
	r := newLongRun(t)
	for end := time.Now().Add(*longRunDuration); time.Now().Before(end); {
		r.act()
		if !backoff.Sleep(t.Context(), time.Duration(r.random.IntN(600))*time.Millisecond) {
			break
		}
	}
	r.settle()
	r.print(t.Output())
	assert.Empty(t, r.validated.Violations(), "calls and answers conform to the API models")
	assert.Positive(t, r.validated.Total().Answers)
	// Starts on DRAINING and disconnected instances are no fault here: their events are late or lost.
	assert.Empty(t, r.scheduler.sim.Counters().Violations, "no duplicate tasks")
	assert.Empty(t, r.member.sim.Counters().Violations, "no duplicate tasks")
}

func newLongRun(t *testing.T) *longRun {
	w := newSystemWith(t, longRunConfig)
	other := longRunConfig
	other.Account, other.StreamName = "210987654321", ""
	member := &system{t: t, sim: ecssim.New(other), etcd: w.etcd, client: w.client}
	member.aws = member.newAWS()
	t.Cleanup(func() { member.sim.Close(); member.aws.Close() })
	r := &longRun{
		member: member, validated: conformance.New(ecssim.NewCloud(w.sim, member.sim)),
		random: rand.New(rand.NewPCG(*longRunSeed, 0)), done: map[string]int{},
	}
	w.serveAWS(r.validated)
	r.fillClusters(w)
	w.startReader("blox_queue")
	member.startReader("blox_queue")
	r.scheduler = w.startScheduler(w.startReader("kinesis://events"), "--alarm-interval", "2s", "--health-interval", "1s",
		"--rollout-health-interval", "1s", "--attribute-interval", "5s", "--start-confirm-timeout", "5s")
	r.createEnvironments()
	return r
}

// fillClusters makes the clusters of both accounts.
func (r *longRun) fillClusters(w *system) {
	require.NoError(w.t, w.sim.PutAlarm("errors", "OK", "MetricAlarm"))
	require.NotEmpty(w.t, w.sim.RegisterTaskDefinition("checked", ecssim.WithCPU(16), ecssim.WithMemory(16),
		ecssim.WithHealthCheck()))
	w.sim.AddInstances("prod", 20)
	w.sim.CreateCluster("stage")
	w.sim.AddInstances("stage", 10)
	w.sim.CreateCluster("edge")
	w.sim.AddExternalInstances("edge", 5)
	require.NotEmpty(w.t, w.sim.CreateDaemonService("stage", "dns", "checked"))
	require.NoError(w.t, w.sim.CreateProvider("stage", "spot", false))
	w.sim.AddProviderInstances("stage", "spot", 3)
	r.member.sim.CreateCluster("prod")
	r.member.agent = r.member.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(16), ecssim.WithMemory(16))
	r.member.sim.AddInstances("prod", 8)
}

// startReader runs a cluster-state-service that reads the events from a queue or stream.
func (w *system) startReader(source string) (address string) {
	w.t.Helper()
	cfg, err := clusterstate.ParseConfig([]string{
		"--etcd-endpoint", w.etcd.Endpoints()[0], "--queue", source, "--reconcile-interval", "20s",
	}, w.getenv, io.Discard)
	require.NoError(w.t, err)
	cfg.Listener = listen(w.t, "127.0.0.1:0")
	log := newLogger(w.t, logrus.PanicLevel)
	w.runService(func(ctx context.Context) error { return clusterstate.Run(ctx, cfg, log) })
	return cfg.Listener.Addr().String()
}

// longRunEnvironments are the environments by name: the settings beside the name, with the task definition's family.
var longRunEnvironments = map[string]string{
	"logs": `"taskDefinition":"agent","instanceGroup":{"cluster":"prod"},` +
		`"deploymentConfiguration":{"maxUnavailable":5}`,
	"guarded": `"taskDefinition":"agent","instanceGroup":{"cluster":"prod"},` +
		`"deploymentConfiguration":{"alarms":{"alarmNames":["errors"],"rollback":true}}`,
	"health": `"taskDefinition":"checked","instanceGroup":{"cluster":"stage"}`,
	"edge":   `"taskDefinition":"agent","instanceGroup":{"cluster":"edge"}`,
	"member": `"taskDefinition":"agent","role":"` + memberRole + `",` +
		`"instanceGroup":{"cluster":"arn:aws:ecs:us-east-1:210987654321:cluster/prod"}`,
}

func (r *longRun) createEnvironments() {
	for _, name := range slices.Sorted(maps.Keys(longRunEnvironments)) {
		testenv.Eventually(r.t, func() bool {
			answer, body := r.send("POST", "/v1/environments", `{"name":"`+name+`",`+longRunEnvironments[name]+`}`)
			require.Contains(r.t, []int{http.StatusOK, http.StatusServiceUnavailable}, answer.StatusCode, body)
			return answer.StatusCode == http.StatusOK
		}, name)
		r.tryToDeploy(name)
	}
}

// tryToDeploy deploys an environment. It reports whether Blox accepted that.
func (r *longRun) tryToDeploy(name string) bool {
	e := r.getEnvironment(name)
	return r.try("POST", "/v1/environments/"+name+"/deployments?deploymentToken="+e.DeploymentToken, "")
}

// tryToUpdate deploys an environment with a new revision of its task definition. It reports whether Blox accepted that.
func (r *longRun) tryToUpdate(name string) bool {
	e := r.getEnvironment(name)
	family, options := "agent", []ecssim.DefinitionOption{ecssim.WithCPU(16), ecssim.WithMemory(16)}
	if name == "health" {
		family, options = "checked", append(options, ecssim.WithHealthCheck())
	}
	sim := r.scheduler.sim
	if name == "member" {
		sim = r.member.sim
	}
	require.NotEmpty(r.t, sim.RegisterTaskDefinition(family, options...))
	return r.try("PATCH", "/v1/environments/"+name+"?deploymentToken="+e.DeploymentToken,
		`{"taskDefinition":"`+family+`"}`) && r.tryToDeploy(name)
}

// try sends a valid request, which Blox may refuse for now.
func (r *longRun) try(method, path, body string) (accepted bool) {
	answer, read := r.send(method, path, body)
	if answer.StatusCode == http.StatusBadRequest {
		require.Contains(r.t, read, "already exists", "the environment has not changed since its deployment")
	}
	if answer.StatusCode != http.StatusOK {
		r.refused++
	}
	return answer.StatusCode == http.StatusOK
}

// act does one thing by chance.
func (r *longRun) act() {
	actions := r.actions()
	name := slices.Sorted(maps.Keys(actions))[r.random.IntN(len(actions))]
	r.done[name]++
	actions[name]()
}

// anySim returns the simulator of one of the accounts, mostly of the first.
func (r *longRun) anySim() *ecssim.Sim {
	if r.random.IntN(4) == 0 {
		return r.member.sim
	}
	return r.scheduler.sim
}

// anyInstance returns an instance that is not INACTIVE.
func (r *longRun) anyInstance(sim *ecssim.Sim) ecssim.Instance {
	all := slices.DeleteFunc(sim.Instances(""), func(i ecssim.Instance) bool { return i.Status == "INACTIVE" })
	return all[r.random.IntN(len(all))]
}

// actions returns what happens to the system. Errors are left out: an instance may have gone meanwhile.
func (r *longRun) actions() map[string]func() {
	sim := r.anySim()
	instance := r.anyInstance(sim)
	return map[string]func(){
		"deploy": func() {
			name := slices.Sorted(maps.Keys(longRunEnvironments))[r.random.IntN(len(longRunEnvironments))]
			r.tryToDeploy(name)
		},
		"new revision": func() {
			r.tryToUpdate(slices.Sorted(maps.Keys(longRunEnvironments))[r.random.IntN(len(longRunEnvironments))])
		},
		"drain":      func() { _ = sim.DrainInstance(instance.ARN) },
		"activate":   func() { r.activateAll(sim) },
		"disconnect": func() { _ = sim.SetAgentConnected(instance.ARN, false) },
		"reconnect":  func() { r.reconnectAll(sim) },
		"terminate":  func() { r.replace(sim, instance, sim.RemoveInstance) },
		"lose host":  func() { r.replace(sim, instance, sim.LoseInstance) },
		"scale in":   func() { _ = sim.ScaleInInstance(instance.ARN) },
		"kill task":  func() { r.killTask(sim) },
		"unhealthy":  func() { r.makeUnhealthy() },
		"alarm": func() {
			state := []string{"OK", "OK", "ALARM"}[r.random.IntN(3)]
			assert.NoError(r.t, r.scheduler.sim.PutAlarm("errors", state, "MetricAlarm"))
		},
		"faults": func() { sim.SetFaults(r.someFaults()) },
		"no faults": func() {
			sim.SetFaults(ecssim.Faults{})
			for _, service := range []string{"ecs", "sqs", "kinesis", "cloudwatch", "sts"} {
				sim.SetDown(service, false)
			}
		},
		"outage": func() {
			sim.SetDown([]string{"ecs", "sqs", "kinesis", "cloudwatch", "sts"}[r.random.IntN(5)], true)
		},
	}
}

func (r *longRun) activateAll(sim *ecssim.Sim) {
	for _, i := range sim.Instances("") {
		if i.Status == "DRAINING" {
			_ = sim.ActivateInstance(i.ARN)
		}
	}
}

func (r *longRun) reconnectAll(sim *ecssim.Sim) {
	for _, i := range sim.Instances("") {
		if i.Status != "INACTIVE" && !i.AgentConnected {
			_ = sim.SetAgentConnected(i.ARN, true)
		}
	}
}

// replace ends an instance and registers another one in its cluster.
func (r *longRun) replace(sim *ecssim.Sim, i ecssim.Instance, end func(arn string) error) {
	_ = end(i.ARN)
	if strings.HasPrefix(i.EC2InstanceID, "mi-") {
		sim.AddExternalInstances(i.ClusterARN, 1)
		return
	}
	sim.AddInstances(i.ClusterARN, 1)
}

func (r *longRun) killTask(sim *ecssim.Sim) {
	live := slices.DeleteFunc(sim.Tasks(""), func(t ecssim.Task) bool { return !t.Live() })
	if len(live) > 0 {
		_ = sim.KillTask(live[r.random.IntN(len(live))].ARN, 1)
	}
}

func (r *longRun) makeUnhealthy() {
	for _, task := range r.scheduler.sim.Tasks("stage") {
		if task.HealthStatus == "HEALTHY" && r.random.IntN(5) == 0 {
			_ = r.scheduler.sim.SetHealth(task.ARN, "UNHEALTHY")
		}
	}
}

// someFaults returns faults of AWS and of the caller.
func (r *longRun) someFaults() ecssim.Faults {
	x := r.random.Float64() / 4
	codes := []string{"AccessDeniedException", "ExpiredTokenException", "RequestTimeTooSkewed", "InvalidSignatureException"}
	all := func(f float64) map[string]float64 {
		return map[string]float64{"ecs": f, "sqs": f, "kinesis": f, "cloudwatch": f, "sts": f}
	}
	return ecssim.Faults{
		Throttle: all(x), ServerErrors: all(0.25 - x), LateServerErrors: map[string]float64{"StartTask": x, "StopTask": x},
		LostResponses: map[string]float64{"StartTask": x, "StopTask": x, "sqs": x / 2},
		Refusals: map[string]ecssim.Refusal{
			"ecs": {Code: codes[r.random.IntN(len(codes))], Fraction: x},
			"sts": {Code: "AccessDeniedException", Fraction: x},
		},
		Latency: map[string]ecssim.Duration{"ecs": ecssim.Duration(x * float64(time.Second))},
		Events: ecssim.EventFaults{
			Drop: x / 2, Duplicate: x, Reorder: x, Delay: x, DelayBy: ecssim.Duration(time.Second),
		},
		Delivery: ecssim.DeliveryFaults{Fail: x, Late: x / 2},
		AgentFlaps: ecssim.AgentFlaps{
			Every: ecssim.Duration(3 * time.Second), For: ecssim.Duration(500 * time.Millisecond), Fraction: x / 2,
		},
		StartFailures: x / 2, FailToRun: map[string]float64{"agent": x / 4}, ConsistencyLag: ecssim.Duration(x * 1e9),
		Unhealthy: map[string]float64{"checked": x / 2},
	}
}

// settle ends every fault, deploys once more and waits until each environment runs on each instance of its cluster.
func (r *longRun) settle() {
	for _, sim := range []*ecssim.Sim{r.scheduler.sim, r.member.sim} {
		r.actions()["no faults"]()
		sim.SetFaults(ecssim.Faults{})
		for _, service := range []string{"ecs", "sqs", "kinesis", "cloudwatch", "sts"} {
			sim.SetDown(service, false)
		}
		r.activateAll(sim)
		r.reconnectAll(sim)
	}
	assert.NoError(r.t, r.scheduler.sim.PutAlarm("errors", "OK", "MetricAlarm"))
	for _, name := range slices.Sorted(maps.Keys(longRunEnvironments)) {
		testenv.Eventually(r.t, func() bool { return r.tryToUpdate(name) }, "%s is not deployed", name)
		testenv.Eventually(r.t, func() bool { return r.complete(name) }, "%s does not run on every instance", name)
	}
}

// complete reports whether the newest deployment of an environment has completed.
func (r *longRun) complete(name string) bool {
	return *r.listDeployments(name)[0].Status == "completed"
}
