package ecssim

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// health returns the health status of a task and those of its containers, as DescribeTasks returns them.
func (w *fixture) health(arn string) (task string, containers []string) {
	w.t.Helper()
	out, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Tasks: []string{arn}})
	require.NoError(w.t, err)
	require.Len(w.t, out.Tasks, 1)
	for _, c := range out.Tasks[0].Containers {
		containers = append(containers, string(c.HealthStatus))
	}
	return string(out.Tasks[0].HealthStatus), containers
}

func TestHealth_FollowsTheHealthChecksOfEssentialContainers(t *testing.T) {
	check := &types.HealthCheck{Command: []string{"CMD-SHELL", "true"}}
	container := func(name string, essential bool, check *types.HealthCheck) types.ContainerDefinition {
		return types.ContainerDefinition{
			Name: &name, Image: aws.String("i"), Memory: aws.Int32(64), Essential: &essential, HealthCheck: check,
		}
	}
	for name, tc := range map[string]struct {
		containers     []types.ContainerDefinition
		task           string
		wantContainers []string
	}{
		"no health check": {
			[]types.ContainerDefinition{container("a", true, nil)}, "UNKNOWN", []string{"UNKNOWN"},
		},
		"an essential container": {
			[]types.ContainerDefinition{container("a", true, check), container("b", true, nil)},
			"HEALTHY", []string{"HEALTHY", "UNKNOWN"},
		},
		"a container that is not essential": {
			[]types.ContainerDefinition{container("a", true, nil), container("b", false, check)},
			"UNKNOWN", []string{"UNKNOWN", "HEALTHY"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t, Config{})
			_, err := w.ecs.RegisterTaskDefinition(w.ctx, &ecs.RegisterTaskDefinitionInput{
				Family: aws.String("agent"), ContainerDefinitions: tc.containers,
			})
			require.NoError(t, err)
			task, containers := w.health(w.start("agent", "d1", w.AddInstances("default", 1)...)[0])
			assert.Equal(t, tc.task, task)
			assert.Equal(t, tc.wantContainers, containers)
		})
	}
}

func TestHealth_IsUnknownUntilTheHealthDelayHasPassed(t *testing.T) {
	w := newFixture(t, Config{HealthDelay: time.Hour})
	w.RegisterTaskDefinition("agent", WithHealthCheck())
	arn := w.start("agent", "d1", w.AddInstances("default", 1)...)[0]
	task, _ := w.health(arn)
	assert.Equal(t, "UNKNOWN", task)
	assert.Equal(t, "RUNNING", w.task(arn).LastStatus)

	w = newFixture(t, Config{HealthDelay: time.Millisecond})
	w.RegisterTaskDefinition("agent", WithHealthCheck())
	arn = w.start("agent", "d1", w.AddInstances("default", 1)...)[0]
	w.eventually(func() bool { task, _ := w.health(arn); return task == "HEALTHY" }, "the health check passes")
}

func TestHealth_ChangesOnRequestWithoutAnEvent(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent", WithHealthCheck())
	arn := w.start("agent", "d1", w.AddInstances("default", 1)...)[0]
	version := w.task(arn).Version
	for _, e := range w.events() {
		assert.NotContains(t, strings.ToLower(e.raw), "healthstatus", "events do not show health")
	}

	require.NoError(t, w.SetHealth(arn, "UNHEALTHY"))
	task, containers := w.health(arn)
	assert.Equal(t, "UNHEALTHY", task)
	assert.Equal(t, []string{"UNHEALTHY"}, containers)
	assert.Equal(t, "UNHEALTHY", w.task(arn).HealthStatus)
	assert.Equal(t, version, w.task(arn).Version)
	assert.Empty(t, w.events())
	require.NoError(t, w.SetHealth(arn, "HEALTHY"))
	task, _ = w.health(arn)
	assert.Equal(t, "HEALTHY", task)

	require.Error(t, w.SetHealth(arn, "SICK"))
	require.Error(t, w.SetHealth("absent", "HEALTHY"))
	w.RegisterTaskDefinition("plain")
	plain := w.start("plain", "d2", w.AddInstances("default", 1)...)[0]
	require.ErrorContains(t, w.SetHealth(plain, "UNHEALTHY"), "no health check")
}

func TestHealth_FaultMakesTasksUnhealthy(t *testing.T) {
	w := newFixture(t, Config{Faults: Faults{Unhealthy: map[string]float64{"agent": 1}}})
	w.RegisterTaskDefinition("agent", WithHealthCheck())
	task, _ := w.health(w.start("agent", "d1", w.AddInstances("default", 1)...)[0])
	assert.Equal(t, "UNHEALTHY", task)
}

func TestHealth_IsAControl(t *testing.T) {
	w := newFixture(t, Config{})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	var created struct{ TaskDefinition string }
	require.Equal(t, http.StatusOK, w.curl("POST", "/_sim/task-definitions?family=agent&healthCheck=true", "", &created))
	arn := w.start(created.TaskDefinition, "d1", w.AddInstances("default", 1)...)[0]
	var answer map[string]string
	require.Equal(t, http.StatusOK, w.curl("POST", "/_sim/tasks/health?status=UNHEALTHY&task="+arn, "", &answer))
	assert.Equal(t, map[string]string{"task": arn, "status": "UNHEALTHY"}, answer)
	task, _ := w.health(arn)
	assert.Equal(t, "UNHEALTHY", task)
	var refused json.RawMessage
	for path, want := range map[string]int{
		"/_sim/tasks/health?status=UNHEALTHY&task=absent":         http.StatusNotFound,
		"/_sim/tasks/health?status=unwell&task=" + arn:            http.StatusBadRequest,
		"/_sim/tasks/health?task=" + arn:                          http.StatusBadRequest,
		"/_sim/task-definitions?family=agent&healthCheck=perhaps": http.StatusBadRequest,
	} {
		assert.Equal(t, want, w.curl("POST", path, "", &refused), path)
	}
}
