package environment

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNewTaskHealth_CountsCheckedContainersOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		app, proxy HealthStatus
		want       HealthStatus
		reason     string
	}{
		"all HEALTHY":               {HealthHealthy, HealthHealthy, HealthHealthy, ""},
		"one UNKNOWN":               {HealthHealthy, HealthUnknown, HealthUnknown, ""},
		"one without a result":      {HealthHealthy, "", HealthUnknown, ""},
		"one UNHEALTHY":             {HealthUnknown, HealthUnhealthy, HealthUnhealthy, "Container proxy is UNHEALTHY."},
		"all of them are UNHEALTHY": {HealthUnhealthy, HealthUnhealthy, HealthUnhealthy, "Containers app, proxy are UNHEALTHY."},
	} {
		t.Run(name, func(t *testing.T) {
			got := NewTaskHealth("t1", []string{"proxy", "app"}, map[string]HealthStatus{
				"app": tc.app, "proxy": tc.proxy, "sidecar": HealthUnhealthy,
			})
			assert.Equal(t, TaskHealth{Task: "t1", Status: tc.want, Reason: tc.reason}, got)
		})
	}
}

func TestApplyHealth_ChecksTasksOfDeploymentsWithHealthChecks(t *testing.T) {
	e := New("logs", "arn:cluster", "agent:1", "")
	e.Deployments["d1"] = Deployment{ID: "d1"}
	e.Deployments["d2"] = Deployment{ID: "d2"}
	assert.False(t, e.ChecksHealth())
	e = e.WithHealthChecks("d2", []string{"app"})
	assert.True(t, e.ChecksHealth())
	assert.True(t, e.Deployments["d2"].HealthChecksKnown)
	running := func(startedBy string) Task {
		return Task{ARN: "t", StartedBy: startedBy, LastStatus: "RUNNING", DesiredStatus: "RUNNING"}
	}
	tasks := []Task{running("d1"), running("d2")}
	e.ApplyHealth(tasks, map[string]TaskHealth{"t": {Status: HealthUnhealthy, Reason: "why"}})
	assert.True(t, tasks[0].Available())
	assert.False(t, tasks[1].Available())
	assert.True(t, tasks[1].Unhealthy())
	assert.Equal(t, "why", tasks[1].HealthReason)
}
