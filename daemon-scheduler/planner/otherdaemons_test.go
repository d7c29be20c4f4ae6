package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func inGroup(group string) func(*environment.Task) {
	return func(t *environment.Task) { t.Group = group }
}

// The tasks of ECS DAEMON services and of Managed Daemons are daemons, as ECS sees them too.
func TestDrain_DoesNotWaitForTheDaemonsOfECS(t *testing.T) {
	s := scenario{
		instances: on("DRAINING", "i1"),
		tasks: []environment.Task{
			task("t1", current, "RUNNING"),
			with(task("t2", "ecs-svc/1234567890123456789", "RUNNING"), inGroup("service:node-exporter")),
		},
	}.state()
	assert.Empty(t, Make(s).Actions, "whose service's strategy is unknown is no daemon")
	s.DaemonGroups = map[string]bool{"service:node-exporter": true}
	assert.Equal(t, []string{"stop t1: blox: the instance is draining, environment logs"}, texts(Make(s).Actions))
	s.Tasks = append(s.Tasks, with(task("t4", "ecs-daemon/logs", "RUNNING"), inGroup("daemon:fluent-bit")))
	assert.Equal(t, []string{"stop t1: blox: the instance is draining, environment logs"}, texts(Make(s).Actions))
	s.Tasks = append(s.Tasks, with(task("t3", "ecs-svc/2345678901234567890", "RUNNING"), inGroup("service:web")))
	assert.Empty(t, Make(s).Actions)
}

func TestScaleIn_DoesNotWaitForTheDaemonsOfECS(t *testing.T) {
	s := scenario{
		tasks: []environment.Task{
			task("t1", current, "RUNNING"),
			with(task("t2", "ecs-svc/1234567890123456789", "RUNNING"), inGroup("service:node-exporter")),
		},
		launches: []environment.Launch{launch(environment.LaunchStarted, time.Hour, named("t1"))},
	}.state()
	s.Environment.Revisions = []environment.Revision{
		{Number: 1, Spec: environment.Spec{TaskDefinition: agent2, ScaleInAfterMinutes: 20}},
	}
	assert.Empty(t, Make(s).Actions)
	s.DaemonGroups = map[string]bool{"service:node-exporter": true}
	s.Tasks = append(s.Tasks, with(task("t3", "ecs-daemon/logs", "RUNNING"), inGroup("daemon:fluent-bit")))
	assert.Equal(t, []string{"record i1: The scale-in state of the instance changed."}, texts(Make(s).Actions))
}
