package clusterstate

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestDaemonGroups_AreKnownByTheDeploymentsOfTheirServices(t *testing.T) {
	of := func(service, startedBy, status string) environment.Task {
		return environment.Task{Group: "service:" + service, StartedBy: startedBy, LastStatus: status}
	}
	c := Cluster{daemons: &daemonGroups{}}
	tasks := []environment.Task{
		of("web", "ecs-svc/1", "RUNNING"), of("exporter", "ecs-svc/2", "RUNNING"), of("exporter", "ecs-svc/2", "PENDING"),
		of("gone", "ecs-svc/3", "STOPPED"), of("forged", "me", "RUNNING"), {Group: "family:app", StartedBy: "ecs-svc/4"},
	}
	assert.Equal(t, []string{"exporter", "web"}, c.UnknownServices(tasks))
	assert.Empty(t, c.DaemonGroups("prod"))

	c.LearnServices("prod", map[string]bool{"web": false, "exporter": true}, tasks)
	assert.Empty(t, c.UnknownServices(tasks))
	assert.Equal(t, map[string]bool{"service:exporter": true}, c.DaemonGroups("prod"))
	assert.Empty(t, c.DaemonGroups("another"))
	assert.EqualValues(t, 1, c.DaemonGroupChanges())

	anew := []environment.Task{of("exporter", "ecs-svc/5", "RUNNING")}
	assert.Equal(t, []string{"exporter"}, c.UnknownServices(anew), "a service of that name was created anew")
	c.LearnServices("prod", map[string]bool{"exporter": false}, anew)
	assert.Empty(t, c.DaemonGroups("prod"))
}
