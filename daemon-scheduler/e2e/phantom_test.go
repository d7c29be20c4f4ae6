package e2e

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// replayedRunningEvent is the RUNNING event of a task that ECS has forgotten.
//
//go:embed testdata/replayed-running-event.json
var replayedRunningEvent string

// phantom is a task that ECS has forgotten and whose events are replayed.
type phantom struct{ id, instance, deployment string }

func newPhantom(instance, deployment string) phantom {
	return phantom{fmt.Sprintf("%032x", time.Now().UnixNano()), instance, deployment}
}

func (p phantom) arn() string { return "arn:aws:ecs:us-east-1:123456789012:task/prod/" + p.id }

// runningEvent returns the task's RUNNING event, which is days old.
func (p phantom) runningEvent() string {
	return p.event("RUNNING", 2, time.Now().Add(-7*24*time.Hour))
}

// event returns the event of one of the task's states, sent at a time. The task was created a minute earlier.
func (p phantom) event(status string, version int, at time.Time) string {
	desired := "RUNNING"
	if status == "STOPPED" {
		desired = "STOPPED"
	}
	return strings.NewReplacer(
		"task/default/0123456789abcdef0123456789abcdef", "task/prod/"+p.id, "cluster/default", "cluster/prod",
		"INSTANCE", p.instance, "DEPLOYMENT", p.deployment,
		`"lastStatus": "RUNNING"`, fmt.Sprintf(`"lastStatus": %q`, status),
		`"desiredStatus": "RUNNING"`, fmt.Sprintf(`"desiredStatus": %q`, desired),
		`"version": 2`, fmt.Sprintf(`"version": %d`, version),
		"2026-11-20T01:00:00Z", at.UTC().Format(time.RFC3339),
		"2026-11-20T00:59:00Z", at.Add(-time.Minute).UTC().Format(time.RFC3339),
	).Replace(replayedRunningEvent)
}

// sendEvents sends events to the queue and waits until cluster-state-service has consumed them.
func (w *system) sendEvents(events ...string) {
	w.t.Helper()
	cfg, err := awsconfig.Load(w.t.Context(), w.getenv)
	require.NoError(w.t, err)
	client := awsconfig.SQS(cfg)
	queue, err := client.GetQueueUrl(w.t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("blox_queue")})
	require.NoError(w.t, err)
	for _, event := range events {
		_, err := client.SendMessage(w.t.Context(), &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: &event})
		require.NoError(w.t, err)
	}
	testenv.Eventually(w.t, func() bool {
		out, err := client.GetQueueAttributes(w.t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl: queue.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		require.NoError(w.t, err)
		return out.Attributes["ApproximateNumberOfMessages"] == "0" &&
			out.Attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
	}, "events stay in the queue")
}

// deployAgent deploys the environment logs and returns the deployment's id and the task on each instance.
func (d *scheduler) deployAgent(instances ...string) (id string, tasks map[string]string) {
	d.t.Helper()
	id = d.deploy(d.createEnvironment("logs"))
	d.awaitOneTaskEach(id, instances...)
	d.awaitCompleted("logs", id)
	testenv.Eventually(d.t, func() bool { return !d.hasOpenLaunches("logs") })
	tasks = map[string]string{}
	for instance, live := range d.liveTasks(id) {
		tasks[instance] = live[0].ARN
	}
	return id, tasks
}

// passThrough waits until the scheduler has acted on a change that came after all others: the arrival of an instance.
func (d *scheduler) passThrough(id string) (instance string) {
	d.t.Helper()
	instance = d.sim.AddInstances("prod", 1)[0]
	testenv.Eventually(d.t, func() bool {
		live := d.liveTasks(id)[instance]
		return len(live) == 1 && live[0].LastStatus == "RUNNING"
	}, "the new instance has no daemon")
	return instance
}

// assertUntouched fails the test if one of the tasks was stopped, or another one started beside it.
func (w *system) assertUntouched(id string, tasks map[string]string) {
	w.t.Helper()
	live := w.liveTasks(id)
	for instance, task := range tasks {
		if assert.Len(w.t, live[instance], 1, "%s", instance) {
			assert.Equal(w.t, task, live[instance][0].ARN, "the daemon was replaced")
		}
	}
	assert.Zero(w.t, w.sim.Calls("StopTask"), "nothing is stopped")
	w.assertNoDuplicates()
}

func TestScheduler_ReplayedRunningEventStopsNothing(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	d := w.startServices()
	id, tasks := d.deployAgent(instances...)
	w.sendEvents(newPhantom(instances[0], id).runningEvent())
	d.passThrough(id)
	w.assertUntouched(id, tasks)
	assert.EqualValues(t, "healthy", *d.getEnvironment("logs").Health)
}

func TestScheduler_LivesReplayedHoursLateStopNothing(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 3)
	d := w.startServices()
	id, tasks := d.deployAgent(instances...)
	var phantoms []phantom
	for _, instance := range instances {
		phantoms = append(phantoms, newPhantom(instance, id))
	}
	for version, status := range []string{"PENDING", "RUNNING", "STOPPED"} {
		for _, p := range phantoms {
			w.sendEvents(p.event(status, version+1, time.Now().Add(-5*time.Hour)))
		}
		d.passThrough(id)
	}
	w.assertUntouched(id, tasks)
}

// The records are written as a cluster-state-service without the protection of its own would write them.
func TestScheduler_PhantomTaskStopsNoDaemonAndHoldsNoPlace(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	id, tasks := d.deployAgent(instances...)
	several := []phantom{newPhantom(instances[0], id), newPhantom(instances[0], id)}
	for _, p := range several {
		w.putRecord("ecs/task/prod/"+p.arn(), p.runningEvent())
	}
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_phantom_tasks_total") == 2 }, "phantoms are not counted")
	added := d.passThrough(id)
	w.assertUntouched(id, tasks)
	assert.EqualValues(t, "healthy", *d.getEnvironment("logs").Health)
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_daemons_duplicate", `environment="logs"`) == 0 })
	testenv.Eventually(t, func() bool {
		var list models.Events
		d.mustSend("GET", "/v1/events?limit=1000", "", &list)
		reported := int64(0)
		for _, e := range list.Items {
			if *e.Action == "phantomTaskIgnored" && aws.ToString(e.Environment) == "logs" {
				reported += *e.Count
			}
		}
		return reported == 2
	}, "no service event reports the phantoms")

	// The phantoms do not count as the instance's daemon either.
	require.NoError(t, w.sim.KillTask(tasks[instances[0]], 1))
	testenv.Eventually(t, func() bool {
		live := w.liveTasks(id)[instances[0]]
		return len(live) == 1 && live[0].ARN != tasks[instances[0]]
	}, "the daemon is not replaced")
	w.awaitOneTaskEach(id, append(slices.Collect(maps.Keys(tasks)), added)...)
	assert.Equal(t, 2.0, d.metric("blox_ds_phantom_tasks_total"), "each phantom is reported once")
}

func TestScheduler_StopsNoDuplicateWhileECSDescribesNoTasks(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instance := w.sim.AddInstances("prod", 1)[0]
	d := w.startServices()
	id, tasks := d.deployAgent(instance)
	w.sim.SetFaults(ecssim.Faults{ServerErrors: map[string]float64{"DescribeTasks": 1}})
	w.putRecord("ecs/task/prod/"+newPhantom(instance, id).arn(), newPhantom(instance, id).runningEvent())
	testenv.Eventually(t, func() bool { return w.sim.Calls("DescribeTasks") > 3 }, "DescribeTasks is not retried")
	w.assertUntouched(id, tasks)
	assert.Zero(t, d.metric("blox_ds_phantom_tasks_total"))
	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_phantom_tasks_total") == 1 }, "no phantom is found")
	w.assertUntouched(id, tasks)
}

// A task of a deployment that was replaced has its place only until ECS says that it does not know it.
func TestScheduler_PhantomOfAnEarlierDeploymentHoldsNoPlace(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instances := w.sim.AddInstances("prod", 2)
	d := w.startServices()
	first, _ := d.deployAgent(instances...)
	w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	second := d.deploy(d.patch("logs", `{"taskDefinition":"agent:2"}`))
	d.awaitCompleted("logs", second)
	w.awaitOneTaskEach(second, instances...)
	stops := w.sim.Calls("StopTask")
	p := newPhantom(instances[0], first)
	w.putRecord("ecs/task/prod/"+p.arn(), p.runningEvent())
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_phantom_tasks_total") == 1 }, "no phantom is found")
	d.passThrough(second)
	assert.LessOrEqual(t, w.sim.Calls("StopTask"), stops+1, "its stop is requested once")

	// Where nothing else lives, the phantom does not keep the daemon away.
	w.sim.SetFaults(ecssim.Faults{StartFailures: 1})
	require.NoError(t, w.sim.KillTask(w.liveTasks(second)[instances[1]][0].ARN, 1))
	alone := newPhantom(instances[1], first)
	w.putRecord("ecs/task/prod/"+alone.arn(), alone.runningEvent())
	testenv.Eventually(t, func() bool { return d.metric("blox_ds_phantom_tasks_total") == 2 }, "no phantom is found")
	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool { return len(w.liveTasks(second)[instances[1]]) == 1 }, "no daemon is started")
	w.assertNoDuplicates()
}

// A phantom appears where the rollout has stopped the daemon and its replacement does not start. The instance must not
// count as available: one instance more than allowed would lose its daemon.
func TestScheduler_PhantomDoesNotExtendTheRolloutBudget(t *testing.T) {
	t.Parallel()
	f := newRollout(t, 4, `{"minimumHealthyPercent":75}`)
	f.sim.SetFaults(ecssim.Faults{FailToRun: map[string]float64{"agent": 1}})
	second := f.deployPatch(`{"taskDefinition":"agent:2"}`)
	testenv.Eventually(t, func() bool { return len(f.launchReasons("logs")) == 1 }, "no replacement has failed")
	live := f.liveTasks(f.first)
	require.Len(t, live, 3)
	disturbed := f.instances[slices.IndexFunc(f.instances, func(i string) bool { return len(live[i]) == 0 })]
	p := newPhantom(disturbed, f.first)
	f.putRecord("ecs/task/prod/"+p.arn(), p.runningEvent())
	testenv.Eventually(t, func() bool { return f.metric("blox_ds_phantom_tasks_total") == 1 }, "no phantom is found")
	f.sim.SetFaults(ecssim.Faults{})
	f.awaitState(second, "COMPLETED")
	f.awaitOneTaskEach(second, f.instances...)
	f.assertLimits(3, 0)
	f.assertNoDuplicates()
}
