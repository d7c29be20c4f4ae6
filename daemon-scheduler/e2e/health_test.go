package e2e

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

const agentUnhealthy = "Container agent is UNHEALTHY."

// healthFlags make the scheduler read container health often.
var healthFlags = []string{
	"--health-interval", "100ms", "--rollout-health-interval", "50ms", "--read-rate", "1000", "--change-rate", "1000",
	"--leader-lease", "3s",
}

// checkedDaemon is an environment "logs" on some instances, whose task definition "agent" has a health check.
type checkedDaemon struct {
	*scheduler
	css       string
	instances []string
	first     string // ID of the first deployment
}

// newCheckedDaemon deploys the daemon, by default without a slow start. Its tasks become HEALTHY after that delay.
func newCheckedDaemon(t *testing.T, n int, delay time.Duration, fields string, flags ...string) *checkedDaemon {
	t.Helper()
	w := newSystemWith(t, ecssim.Config{
		PendingDelay: 10 * time.Millisecond, StopDelay: 10 * time.Millisecond, HealthDelay: delay,
	})
	require.NotEmpty(t, w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithHealthCheck()))
	if !strings.Contains(fields, "deploymentConfiguration") {
		fields += `,"deploymentConfiguration":{"slowStart":false}`
	}
	d := &checkedDaemon{instances: w.sim.AddInstances("prod", n)}
	d.css, _ = w.startCSS("127.0.0.1:0")
	d.scheduler = w.startScheduler(d.css, append(slices.Clone(healthFlags), flags...)...)
	d.awaitReady()
	fields = withoutSlowStart(fields) // all tasks are to start before the first one is HEALTHY
	var created models.Environment
	d.mustSend("POST", "/v1/environments",
		`{"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"`+fields+`}`, &created)
	d.first = d.deploy(created)
	d.awaitOneTaskEach(d.first, d.instances...)
	return d
}

// newHealthyDaemon deploys the daemon and waits until its deployment is completed. Tasks that start later become
// HEALTHY when the test says so.
func newHealthyDaemon(t *testing.T, n int, fields string, flags ...string) *checkedDaemon {
	t.Helper()
	d := newCheckedDaemon(t, n, time.Hour, fields, flags...)
	d.setHealth("HEALTHY", d.tasks(d.first)...)
	d.awaitCompleted("logs", d.first)
	return d
}

// tasks returns the ARNs of the deployment's live tasks, by instance.
func (w *system) tasks(id string) (arns []string) {
	on := w.liveTasks(id)
	for _, instance := range slices.Sorted(maps.Keys(on)) {
		arns = append(arns, on[instance][0].ARN)
	}
	return arns
}

func (w *system) setHealth(status string, tasks ...string) {
	w.t.Helper()
	for _, task := range tasks {
		require.NoError(w.t, w.sim.SetHealth(task, status))
	}
}

// awaitReads waits until Blox has read container health several times more.
func (w *system) awaitReads() {
	w.t.Helper()
	before := w.sim.Calls("DescribeTasks")
	testenv.Eventually(w.t, func() bool { return w.sim.Calls("DescribeTasks") >= before+10 })
}

// environmentInstances returns the instances of the environment, by ARN.
func (d *scheduler) environmentInstances(name string) map[string]*models.EnvironmentInstance {
	d.t.Helper()
	var list models.EnvironmentInstances
	d.mustSend("GET", "/v1/environments/"+name+"/instances", "", &list)
	byARN := map[string]*models.EnvironmentInstance{}
	for _, i := range list.Items {
		byARN[*i.ContainerInstance] = i
	}
	return byARN
}

func (d *scheduler) awaitAvailable(n int64) {
	d.t.Helper()
	testenv.Eventually(d.t, func() bool {
		return conv.Value(d.getEnvironment("logs").AvailableCount) == n
	}, "not %d instances are available", n)
}

func (d *scheduler) hasUnhealthyTasks() bool {
	return slices.ContainsFunc(d.getEnvironment("logs").Conditions, func(c *models.Condition) bool {
		return *c.Type == "TasksUnhealthy" && c.LastTransitionTime != nil
	})
}

func TestHealth_CompletesWhenTheTasksBecomeHealthy(t *testing.T) {
	t.Parallel()
	d := newCheckedDaemon(t, 3, time.Hour, `,"readinessAttribute":"blox.ready"`)
	d.awaitReads()
	assert.NotEqual(t, "completed", *d.getDeployment("logs", d.first).Status)
	shown := d.getEnvironment("logs")
	assert.EqualValues(t, 3, *shown.RunningCount)
	assert.Zero(t, *shown.AvailableCount)
	for _, i := range d.environmentInstances("logs") {
		assert.Equal(t, "pending", *i.State)
		assert.Equal(t, "UNKNOWN", i.HealthStatus)
		assert.Equal(t, "The task is RUNNING, but not HEALTHY yet.", i.Reason)
	}
	d.awaitReadyInstances()

	tasks := d.tasks(d.first)
	d.setHealth("HEALTHY", tasks[:2]...)
	d.awaitAvailable(2)
	assert.NotEqual(t, "completed", *d.getDeployment("logs", d.first).Status)
	testenv.Eventually(t, func() bool { return len(d.instancesWithAttribute("blox.ready")) == 2 })
	d.setHealth("HEALTHY", tasks[2])
	d.awaitCompleted("logs", d.first)
	d.awaitReadyInstances(d.instances...)
	for _, i := range d.environmentInstances("logs") {
		assert.Equal(t, "running", *i.State)
		assert.Equal(t, "HEALTHY", i.HealthStatus)
	}
	assert.Equal(t, tasks, d.tasks(d.first))
}

func TestHealth_ReplacesUnhealthyTasksOneAfterTheOther(t *testing.T) {
	t.Parallel()
	d := newHealthyDaemon(t, 3, "")
	d.sim.ResetCounters()
	before := d.tasks(d.first)
	d.setHealth("UNHEALTHY", before[:2]...)
	var replaced []string
	testenv.Eventually(t, func() bool {
		replaced = slices.DeleteFunc(d.tasks(d.first), func(task string) bool { return slices.Contains(before, task) })
		return len(replaced) == 1 && d.isTaskRunning(replaced[0])
	})
	d.awaitReads()
	testenv.Eventually(t, func() bool { return d.hasUnhealthyTasks() })
	assert.Equal(t, "unhealthy", string(*d.getEnvironment("logs").Health))
	waiting := slices.DeleteFunc(slices.Collect(maps.Values(d.environmentInstances("logs"))),
		func(i *models.EnvironmentInstance) bool { return i.HealthStatus != "UNHEALTHY" })
	require.Len(t, waiting, 1, "the replacement is not HEALTHY yet")
	assert.Equal(t, "failed", *waiting[0].State)
	assert.Equal(t, agentUnhealthy+" Waiting to replace the task: at most 1 instance may be without a running task.",
		waiting[0].Reason)

	d.setHealth("HEALTHY", replaced...)
	testenv.Eventually(t, func() bool {
		live := d.tasks(d.first)
		return len(live) == 3 && !slices.Contains(live, before[0]) && !slices.Contains(live, before[1])
	})
	d.awaitOneTaskEach(d.first, d.instances...)
	d.setHealth("HEALTHY", d.tasks(d.first)...)
	d.awaitAvailable(3)
	assert.GreaterOrEqual(t, d.sim.Counters().FewestRunning["agent"], 2)
	assert.Contains(t, d.tasks(d.first), before[2])
	testenv.Eventually(t, func() bool { return *d.getEnvironment("logs").Health == "healthy" })
	testenv.Eventually(t, func() bool { return !d.hasUnhealthyTasks() })
	testenv.Eventually(t, func() bool {
		_, events := d.sendValid("GET", "/v1/events", "")
		return strings.Contains(events, `"detail":"`+agentUnhealthy+`"`) &&
			strings.Contains(events, `"reason":"blox: unhealthy task of environment logs"`)
	})
	d.assertNoDuplicates()
}

func TestHealth_KeepsUnhealthyTasksIfConfigured(t *testing.T) {
	t.Parallel()
	d := newHealthyDaemon(t, 1, `,"unhealthyPolicy":"keep"`)
	task := d.tasks(d.first)
	d.setHealth("UNHEALTHY", task...)
	testenv.Eventually(t, func() bool { return d.hasUnhealthyTasks() })
	d.awaitReads()
	assert.Equal(t, task, d.tasks(d.first))
	assert.Zero(t, d.sim.Calls("StopTask"))
	shown := d.environmentInstances("logs")[d.instances[0]]
	assert.Equal(t, "failed", *shown.State)
	assert.Equal(t, agentUnhealthy, shown.Reason)
	testenv.Eventually(t, func() bool { return *d.getEnvironment("logs").Health == "unhealthy" })

	d.setHealth("UNKNOWN", task...)
	d.awaitReads()
	assert.True(t, d.hasUnhealthyTasks(), "UNKNOWN changes nothing")
	d.setHealth("HEALTHY", task...)
	d.awaitAvailable(1)
	testenv.Eventually(t, func() bool { return *d.getEnvironment("logs").Health == "healthy" })
}

func TestHealth_RollsBackARevisionWhoseTasksBecomeUnhealthy(t *testing.T) {
	t.Parallel()
	d := newCheckedDaemon(t, 4, 10*time.Millisecond,
		`,"deploymentConfiguration":{"minimumHealthyPercent":50,"deploymentCircuitBreaker":{"enable":true,"rollback":true,`+
			`"threshold":3}}`)
	d.awaitCompleted("logs", d.first)
	d.sim.SetFaults(ecssim.Faults{Unhealthy: map[string]float64{"bad": 1}})
	require.NotEmpty(t, d.sim.RegisterTaskDefinition("bad", ecssim.WithHealthCheck()))
	before := d.tasks(d.first)
	bad := d.deploy(d.patch("logs", `{"taskDefinition":"bad"}`))
	testenv.Eventually(t, func() bool { return d.getDeployment("logs", bad).RolloutState == "FAILED" })
	failed := d.getDeployment("logs", bad)
	assert.Regexp(t, `^Circuit breaker tripped: [34] failures \(threshold 3\)\. First: `, failed.RolloutStateReason)
	assert.Contains(t, failed.RolloutStateReason, "Container bad is UNHEALTHY.")
	rollback := *d.listDeployments("logs")[0].ID
	d.awaitCompleted("logs", rollback)
	testenv.Eventually(t, func() bool {
		return len(d.tasks(bad)) == 0 && len(d.tasks(d.first))+len(d.tasks(rollback)) == 4
	})
	kept := slices.DeleteFunc(d.tasks(d.first), func(task string) bool { return !slices.Contains(before, task) })
	assert.GreaterOrEqual(t, len(kept), 2, "half of the instances keep their task")
	d.awaitAvailable(4)
	d.assertNoDuplicates()
}

func TestHealth_WaitsForTheMinimumHealthySeconds(t *testing.T) {
	t.Parallel()
	d := newCheckedDaemon(t, 2, 0, `,"deploymentConfiguration":{"minimumHealthyPercent":50,"minimumHealthySeconds":1}`)
	d.awaitCompleted("logs", d.first)
	require.NotEmpty(t, d.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithHealthCheck()))
	second := d.deploy(d.patch("logs", `{"taskDefinition":"agent:3"}`))
	d.awaitCompleted("logs", second)
	var started, stopped []time.Time
	for _, task := range d.sim.Tasks("prod") {
		if task.StartedBy == second {
			started = append(started, task.StartedAt)
		} else {
			stopped = append(stopped, task.StoppedAt)
		}
	}
	require.Len(t, started, 2)
	slices.SortFunc(started, time.Time.Compare)
	slices.SortFunc(stopped, time.Time.Compare)
	assert.GreaterOrEqual(t, stopped[1].Sub(started[0]), time.Second)
	finished := time.Time(*d.getDeployment("logs", second).FinishedAt)
	assert.GreaterOrEqual(t, finished.Sub(started[1]), time.Second)
}

// The record of a task's health may be wrong: ECS is asked before a task is stopped for it.
func TestHealth_StopsNothingThatECSReportsHealthy(t *testing.T) {
	t.Parallel()
	d := newHealthyDaemon(t, 1, "", "--health-interval", "1h")
	task := d.tasks(d.first)
	record := "ecs/health/logs/" + task[0]
	got, err := d.client.Get(t.Context(), record)
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	assert.JSONEq(t, `{"Status":"HEALTHY"}`, string(got.Kvs[0].Value))
	d.putRecord(record, `{"Status":"UNHEALTHY","Reason":"`+agentUnhealthy+`"}`)
	testenv.Eventually(t, func() bool {
		got, err = d.client.Get(t.Context(), record)
		require.NoError(t, err)
		return string(got.Kvs[0].Value) == `{"Status":"HEALTHY"}`
	})
	assert.Equal(t, task, d.tasks(d.first))
	assert.Zero(t, d.sim.Calls("StopTask"))
}

// Every replica knows the health that the leader has read, and the next leader goes by it while ECS does not answer.
func TestHealth_OutlivesTheLeader(t *testing.T) {
	t.Parallel()
	d := newHealthyDaemon(t, 3, `,"unhealthyPolicy":"keep"`)
	other := d.startScheduler(d.css, healthFlags...)
	other.awaitReady()
	task := d.tasks(d.first)[0]
	d.setHealth("UNHEALTHY", task)
	d.awaitAvailable(2)
	other.awaitAvailable(2)
	var silent atomic.Bool
	d.intercept(func(action string, to http.ResponseWriter) bool {
		if silent.Load() && action == "DescribeTasks" {
			http.Error(to, `{"__type":"AccessDeniedException"}`, http.StatusBadRequest)
			return true
		}
		return false
	})
	silent.Store(true)
	former := other.leader()
	d.stop()
	testenv.Eventually(t, func() bool { return other.leader() != former && other.leader() != "" })
	assert.EqualValues(t, 2, *other.getEnvironment("logs").AvailableCount)
	testenv.Eventually(t, func() bool { return other.hasUnhealthyTasks() })
	silent.Store(false)
	d.setHealth("HEALTHY", task)
	other.awaitAvailable(3)
	assert.Zero(t, d.sim.Calls("StopTask"))
}

// A deployment without health checks costs no call at rest.
func TestHealth_ReadsOnlyTasksWithHealthChecks(t *testing.T) {
	t.Parallel()
	d := newHealthyDaemon(t, 1, "")
	d.sim.CreateCluster("other")
	d.sim.AddInstances("other", 1)
	require.NotEmpty(t, d.sim.RegisterTaskDefinition("plain"))
	var plain models.Environment
	d.mustSend("POST", "/v1/environments",
		`{"name":"plain","instanceGroup":{"cluster":"other"},"taskDefinition":"plain"}`, &plain)
	d.awaitCompleted("plain", d.deploy(plain))
	var read sync.Map // the bodies of DescribeTasks
	d.serveAWS(http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".DescribeTasks") {
			read.Store(string(body), true)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		d.sim.ServeHTTP(to, r)
	}))
	d.awaitReads()
	calls := 0
	for body := range read.Range {
		calls++
		assert.NotContains(t, body, "cluster/other")
	}
	assert.Positive(t, calls)
	for _, i := range d.environmentInstances("plain") {
		assert.Empty(t, i.HealthStatus)
	}
	d.mustSend("DELETE", "/v1/environments/logs?stopTasks=true", "", nil)
	testenv.Eventually(t, func() bool {
		got, err := d.client.Get(t.Context(), "ecs/health/", clientv3.WithPrefix())
		require.NoError(t, err)
		return got.Count == 0
	}, "the records of stopped tasks stay")
}
