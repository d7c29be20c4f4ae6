package ecssim

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// statusChanges returns the task events as "<version> <last status>/<desired status>".
func statusChanges(events []event) []string {
	var all []string
	for _, e := range events {
		if e.DetailType == "ECS Task State Change" {
			all = append(all, fmt.Sprintf("%v %v/%v", e.Detail["version"], e.Detail["lastStatus"], e.Detail["desiredStatus"]))
		}
	}
	return all
}

func TestTasks_LifecycleSendsEvents(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	instance := w.AddInstances("default", 1)[0]
	registered := w.events()
	require.Len(t, registered, 1)
	assert.Equal(t, "ECS Container Instance State Change", registered[0].DetailType)

	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: aws.String("agent"), ContainerInstances: []string{instance}, StartedBy: aws.String("d1"),
	})
	require.NoError(t, err)
	require.Len(t, out.Tasks, 1)
	assert.Equal(t, "PENDING", *out.Tasks[0].LastStatus)
	assert.Equal(t, int64(1), out.Tasks[0].Version)
	arn := *out.Tasks[0].TaskArn
	assert.Equal(t, []string{"1 PENDING/RUNNING", "2 RUNNING/RUNNING"}, statusChanges(w.events()))
	assert.Equal(t, "RUNNING", w.task(arn).LastStatus)
	assert.Equal(t, 2048-128, w.Instances("default")[0].RemainingCPU)

	stopped, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &arn, Reason: aws.String("enough")})
	require.NoError(t, err)
	assert.Equal(t, "STOPPED", *stopped.Task.DesiredStatus)
	assert.Equal(t, "RUNNING", *stopped.Task.LastStatus)
	assert.Equal(t, []string{"3 RUNNING/STOPPED", "4 STOPPING/STOPPED", "5 STOPPED/STOPPED"}, statusChanges(w.events()))
	task := w.task(arn)
	assert.Equal(t, "enough", task.StoppedReason)
	assert.Equal(t, "UserInitiated", task.StopCode)
	assert.Equal(t, 0, *task.ExitCode)
	assert.Equal(t, 2048, w.Instances("default")[0].RemainingCPU)
}

func TestTasks_DelaysPass(t *testing.T) {
	w := newFixture(t, Config{
		PendingDelay: 2 * time.Millisecond, StopDelay: 2 * time.Millisecond, EventDelay: time.Millisecond,
	})
	w.RegisterTaskDefinition("agent")
	arn := w.start("agent", "d1", w.AddInstances("default", 1)...)[0]
	w.eventually(func() bool { return w.task(arn).LastStatus == "RUNNING" }, "the task runs")
	_, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &arn})
	require.NoError(t, err)
	var seen []event
	w.eventually(
		func() bool { seen = append(seen, w.events()...); return len(statusChanges(seen)) == 5 }, "all events come",
	)
	assert.Equal(
		t, []string{"1 PENDING/RUNNING", "2 RUNNING/RUNNING", "3 RUNNING/STOPPED", "4 STOPPING/STOPPED", "5 STOPPED/STOPPED"},
		statusChanges(seen),
	)
}

func TestFaults_TasksStayPendingUntilStopped(t *testing.T) {
	w := newFixture(t, Config{Faults: Faults{StayPending: map[string]float64{"slow-image": 1}}})
	w.RegisterTaskDefinition("slow-image")
	w.RegisterTaskDefinition("agent")
	started := map[string]string{}
	for _, family := range []string{"slow-image", "agent"} {
		out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
			TaskDefinition: &family, ContainerInstances: w.AddInstances("default", 1),
		})
		require.NoError(t, err)
		require.Len(t, out.Tasks, 1)
		started[family] = *out.Tasks[0].TaskArn
	}
	assert.Equal(t, "RUNNING", w.task(started["agent"]).LastStatus)
	assert.Equal(t, "PENDING", w.task(started["slow-image"]).LastStatus, "its start was due as long ago")

	pending := started["slow-image"]
	_, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &pending})
	require.NoError(t, err)
	assert.Equal(t, "STOPPED", w.task(pending).LastStatus)
}
