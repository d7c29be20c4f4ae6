package e2e

import (
	"bufio"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// metric returns the sum of a metric's samples that have all the labels, each given as label="value".
func (d *scheduler) metric(name string, labels ...string) (sum float64) {
	d.t.Helper()
	answer, text := d.send(http.MethodGet, "/metrics", "")
	require.Equal(d.t, http.StatusOK, answer.StatusCode)
lines:
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if rest := strings.TrimPrefix(line, name); rest == line || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(line, label) {
				continue lines
			}
		}
		value, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
		require.NoError(d.t, err, line)
		sum += value
	}
	return sum
}

func TestMetrics_CountTaskActions(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	id := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", id)
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_instance_to_running_seconds_count") == 2 })
	assert.Equal(t, 2.0, d.metric("blox_ds_instance_to_start_seconds_count"))
	assert.Equal(t, 2.0, d.metric("blox_ds_task_starts_total", `outcome="succeeded"`))
	assert.Equal(t, 1.0, d.metric("blox_ds_leader"))
	assert.Equal(t, 1.0, d.metric("blox_ds_deployments_total", `outcome="completed"`))
	assert.Equal(t, 1.0, d.metric("blox_ds_deployment_duration_seconds_count", `outcome="completed"`))
	assert.Equal(t, 1.0, d.metric("blox_ds_environment_healthy", `environment="logs"`, `cluster="prod"`,
		`account="123456789012"`, `region="us-east-1"`))
	assert.Equal(t, 1.0, d.metric("blox_ds_environment_phase", `phase="active"`))
	assert.Equal(t, 0.0, d.metric("blox_ds_deployment_phase_start_timestamp_seconds"), "no deployment is in progress")
	assert.Equal(t, 1.0, d.metric("blox_build_info", `component="daemon-scheduler"`))
	assert.Equal(t, 1.0, d.metric("blox_ds_leader_elections_won_total"))
	assert.Equal(t, float64(w.sim.Calls("StartTask")),
		d.metric("blox_ds_aws_calls_total", `service="ECS"`, `action="StartTask"`, `outcome="succeeded"`))
	assert.Equal(t, 1.0, d.metric("blox_ds_aws_calls_total", `action="DescribeClusters"`, `outcome="succeeded"`))
	assert.Positive(t, d.metric("blox_ds_environment_reconciliations_total", `outcome="succeeded"`))
	assert.Equal(t, d.metric("blox_ds_environment_reconciliations_total"),
		d.metric("blox_ds_environment_reconciliation_duration_seconds_count"))
	assert.Positive(t, d.metric("blox_ds_http_requests_total", `route="/v1/environments"`, `method="POST"`, `code="200"`))
	assert.GreaterOrEqual(t, d.metric("blox_ds_informer_age_seconds"), 0.0)
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_daemons_missing", `environment="logs"`) == 0 })

	w.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"StartTask": 1}})
	require.NoError(t, w.sim.KillTask(w.liveTasks(id)[instances[0]][0].ARN, 1))
	testenv.Eventually(t, func() bool {
		return d.metric("blox_ds_aws_calls_total", `action="StartTask"`, `outcome="throttled"`) > 1
	})
	assert.Positive(t, d.metric("blox_ds_task_starts_total", `outcome="not_sent"`))
	assert.Equal(t, 1.0, d.metric("blox_ds_daemons_missing", `environment="logs"`))
	w.sim.SetFaults(ecssim.Faults{})
	w.awaitOneTaskEach(id, instances...)

	w.startTask(instances[1], id)
	w.awaitOneTaskEach(id, instances...)
	testenv.Eventually(t, func() bool {
		return d.metric("blox_ds_task_stops_total", `reason="duplicate"`, `outcome="succeeded"`) == 1
	})
	d.mustSend(http.MethodDelete, "/v1/environments/logs", "", nil)
	testenv.Eventually(t, func() bool {
		_, text := d.send(http.MethodGet, "/metrics", "")
		return !strings.Contains(text, `environment="logs"`)
	})
	page, err := os.ReadFile("../docs/reference/metrics.md")
	require.NoError(t, err)
	_, text := d.send(http.MethodGet, "/metrics", "")
	for _, name := range regexp.MustCompile(`# TYPE (blox_\w+)`).FindAllStringSubmatch(text, -1) {
		assert.Contains(t, string(page), "`"+name[1], "the page lists every metric")
	}
}

// Tasks of other schedulers trigger no reconciliation.
func TestReconcile_IgnoresForeignTasks(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	id := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", id)
	w.awaitOneTaskEach(id, instances...)
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_instance_to_running_seconds_count") == 2 })
	before := d.metric("blox_ds_environment_reconciliations_total")
	const others = 24
	last := ""
	for range others {
		last = w.startTask(instances[0], "another-scheduler")
		testenv.Eventually(t, func() bool { // one after another, because one reconciliation covers many changes
			got, err := w.client.Get(t.Context(), "ecs/task/prod/"+last)
			require.NoError(t, err)
			return len(got.Kvs) == 1 && strings.Contains(string(got.Kvs[0].Value), `"RUNNING"`)
		})
	}
	require.NoError(t, w.sim.KillTask(last, 1))
	killed := w.liveTasks(id)[instances[1]][0].ARN
	require.NoError(t, w.sim.KillTask(killed, 1)) // its event arrives after the others
	testenv.Eventually(t, func() bool { on := w.liveTasks(id)[instances[1]]; return len(on) == 1 && on[0].ARN != killed })
	assert.Less(t, d.metric("blox_ds_environment_reconciliations_total")-before, float64(others/2),
		"one reconciliation for each task of another scheduler")
}

// The cluster and the records change in ways that need no action. The scheduler reconciles often and never calls ECS.
func TestReconcile_MakesNoECSCallsAtRest(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	d := w.startServices()
	d.awaitReady()
	id := d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", id)
	testenv.Eventually(t, func() bool { return !w.hasOpenLaunches("logs") })
	w.awaitOneTaskEach(id, instances...)
	calls, reconciliations := d.metric("blox_ds_aws_calls_total"), d.metric("blox_ds_environment_reconciliations_total")
	record, err := w.client.Get(t.Context(), "ecs/environment/logs")
	require.NoError(t, err)
	testenv.Eventually(t, func() bool {
		require.NoError(t, w.sim.SetAgentConnected(instances[0], false))
		require.NoError(t, w.sim.SetAgentConnected(instances[0], true))
		w.putRecord("ecs/environment/logs", string(record.Kvs[0].Value))
		return d.metric("blox_ds_environment_reconciliations_total") > reconciliations+20
	})
	assert.Equal(t, calls, d.metric("blox_ds_aws_calls_total"))
	w.awaitOneTaskEach(id, instances...)
	w.assertNoDuplicates()
}

// A start that failed for lack of memory is retried as soon as memory is free, long before its back-off ends.
func TestFailedStart_IsRetriedAtOnceWhenItsInstanceImproves(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d *scheduler, instance, hog string){
		"memory becomes free": func(d *scheduler, _, hog string) { require.NoError(d.t, d.sim.KillTask(hog, 0)) },
		"its agent reconnects": func(d *scheduler, instance, _ string) {
			require.NoError(d.t, d.sim.SetAgentConnected(instance, false))
			// Of two events that arrive together, cluster-state-service stores the newer one only.
			testenv.Eventually(d.t, func() bool { return d.isRecorded(instance) })
			require.NoError(d.t, d.sim.SetAgentConnected(instance, true))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSystem(t)
			w.sim.RegisterTaskDefinition("hog", ecssim.WithMemory(7000))
			instance := w.sim.AddInstances("prod", 1)[0]
			d := w.startServices()
			d.awaitReady()
			out, err := w.ecs().StartTask(t.Context(), &ecs.StartTaskInput{
				Cluster: aws.String("prod"), TaskDefinition: aws.String("hog"), ContainerInstances: []string{instance},
			})
			require.NoError(t, err)
			testenv.Eventually(t, func() bool { return d.isRecorded(instance) })
			// While the environment is paused, nothing races with the records that the test writes.
			record := strings.Replace(inProgressRecord(w.agent), `"busy"`, `"logs"`, 1)
			w.putRecord("ecs/environment/logs", strings.Replace(record, `{"Token"`, `{"Paused":true,"Token"`, 1))
			status := func(part string) bool {
				_, body := d.send("GET", "/v1/environments/logs/instances", "")
				return strings.Contains(body, instance) && strings.Contains(body, part)
			}
			testenv.Eventually(t, func() bool { return status("") })
			notAfter := time.Now().Add(environment.LaunchWindow).UTC().Format(time.RFC3339Nano)
			w.putRecord("ecs/launch/logs/"+instance, `{"Deployment":"`+newDeployment+`","State":"failed","Attempts":1,`+
				`"Reason":"RESOURCE:MEMORY","NotAfter":"`+notAfter+`","NextAttemptAt":"2099-01-01T00:00:00Z"}`)
			testenv.Eventually(t, func() bool { return status(`"attempts":1`) })
			w.putRecord("ecs/environment/logs", record)
			testenv.Eventually(t, func() bool { return status("Backing off") || status("RESOURCE:MEMORY") })
			assert.Empty(t, w.liveTasks(newDeployment))
			change(d, instance, *out.Tasks[0].TaskArn)
			w.awaitOneTaskEach(newDeployment, instance)
		})
	}
}
