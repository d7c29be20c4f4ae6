package ecssim

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
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
	assert.Equal(t, []string{"1 PENDING/RUNNING", "2 ACTIVATING/RUNNING", "3 RUNNING/RUNNING"}, statusChanges(w.events()))
	assert.Equal(t, "RUNNING", w.task(arn).LastStatus)
	assert.Equal(t, 2048-128, w.Instances("default")[0].RemainingCPU)

	stopped, err := w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &arn, Reason: aws.String("enough")})
	require.NoError(t, err)
	assert.Equal(t, "STOPPED", *stopped.Task.DesiredStatus)
	assert.Equal(t, "RUNNING", *stopped.Task.LastStatus)
	assert.Equal(t, []string{
		"4 RUNNING/STOPPED", "5 DEACTIVATING/STOPPED", "6 STOPPING/STOPPED", "7 DEPROVISIONING/STOPPED", "8 STOPPED/STOPPED",
	}, statusChanges(w.events()))
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
		func() bool { seen = append(seen, w.events()...); return len(statusChanges(seen)) == 8 }, "all events come",
	)
	assert.Equal(t, []string{
		"1 PENDING/RUNNING", "2 ACTIVATING/RUNNING", "3 RUNNING/RUNNING", "4 RUNNING/STOPPED", "5 DEACTIVATING/STOPPED",
		"6 STOPPING/STOPPED", "7 DEPROVISIONING/STOPPED", "8 STOPPED/STOPPED",
	}, statusChanges(seen))
}

// containerChanges returns the task events as "<last status>: <status of each container>".
func containerChanges(events []event) []string {
	var all []string
	for _, e := range events {
		if e.DetailType != "ECS Task State Change" {
			continue
		}
		line := fmt.Sprintf("%v:", e.Detail["lastStatus"])
		for _, c := range e.Detail["containers"].([]any) {
			line += fmt.Sprintf(" %v", c.(map[string]any)["lastStatus"])
		}
		all = append(all, line)
	}
	return all
}

// Containers change one after the other, each with an event of its own, and have stopped before DEPROVISIONING.
func TestTasks_ContainersChangeInTheirOwnTime(t *testing.T) {
	w := newFixture(t, Config{})
	essential := types.ContainerDefinition{Name: aws.String("app"), Image: aws.String("app"), Memory: aws.Int32(8)}
	helper := types.ContainerDefinition{Name: aws.String("log"), Image: aws.String("log"), Memory: aws.Int32(8)}
	_, err := w.ecs.RegisterTaskDefinition(w.ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("pair"), ContainerDefinitions: []types.ContainerDefinition{essential, helper},
	})
	require.NoError(t, err)
	instance := w.AddInstances("default", 1)
	stopped, exited := w.start("pair", "d1", instance...)[0], w.start("pair", "d2", instance...)[0]
	started := []string{"PENDING: PENDING PENDING", "ACTIVATING: PENDING PENDING", "ACTIVATING: RUNNING PENDING",
		"RUNNING: RUNNING RUNNING"}
	assert.Equal(t, append(started, started...), containerChanges(w.events()))

	_, err = w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Task: &stopped})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"RUNNING: RUNNING RUNNING", "DEACTIVATING: RUNNING RUNNING", "STOPPING: RUNNING RUNNING",
		"STOPPING: STOPPED RUNNING", "DEPROVISIONING: STOPPED STOPPED", "STOPPED: STOPPED STOPPED",
	}, containerChanges(w.events()))

	require.NoError(t, w.KillTask(exited, 137))
	assert.Equal(t, []string{
		"RUNNING: STOPPED RUNNING", "DEACTIVATING: STOPPED RUNNING", "STOPPING: STOPPED RUNNING",
		"DEPROVISIONING: STOPPED STOPPED", "STOPPED: STOPPED STOPPED",
	}, containerChanges(w.events()))
	described, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Tasks: []string{exited}})
	require.NoError(t, err)
	task := described.Tasks[0]
	assert.Equal(t, []int32{137, 0}, []int32{*task.Containers[0].ExitCode, *task.Containers[1].ExitCode})
	assert.Equal(t, types.TaskStopCodeEssentialContainerExited, task.StopCode)
	assert.NotNil(t, task.ExecutionStoppedAt)
}

// The delays of a start and a stop are those of the whole, with any number of containers.
func TestTasks_StatusesShareTheDelays(t *testing.T) {
	for mode, want := range map[string]string{
		"bridge": "PENDING ACTIVATING RUNNING RUNNING DEACTIVATING STOPPING STOPPED",
		"awsvpc": "PROVISIONING PENDING ACTIVATING RUNNING RUNNING DEACTIVATING STOPPING DEPROVISIONING STOPPED",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{PendingDelay: 6 * time.Second, StopDelay: 12 * time.Second})
			defer s.Close()
			s.RegisterTaskDefinition("agent", WithNetworkMode(mode))
			instance := s.AddInstances("default", 1)[0]
			s.lock()
			started := s.start(launch{
				cluster: s.clusters["default"], instance: s.findInstance(instance), definition: s.definition("agent"),
			})
			s.unlock()
			var seen []string
			observe := func(d, step time.Duration) {
				for range d / step {
					seen = append(seen, s.Tasks("")[0].LastStatus)
					time.Sleep(step)
					synctest.Wait()
				}
			}
			startSteps, stopSteps := 2, 3
			if mode == "awsvpc" {
				startSteps, stopSteps = 3, 4
			}
			observe(6*time.Second, 6*time.Second/time.Duration(startSteps))
			seen = append(seen, s.Tasks("")[0].LastStatus)
			s.lock()
			s.stop(started, "UserInitiated", "")
			s.unlock()
			observe(12*time.Second, 12*time.Second/time.Duration(stopSteps))
			assert.Equal(t, want, strings.Join(append(seen, s.Tasks("")[0].LastStatus), " "))
		})
	}
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
