package command_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

func TestSim_ControlsTheSimulator(t *testing.T) {
	h := newHarnessWithoutServices(t) // no service is needed
	assert.Equal(t, "Cluster prod created.\n", h.mustRun("sim", "clusters", "add", "prod"))
	added := tableRows(h.mustRun("sim", "instances", "add", "--cluster", "prod", "--count", "2"))
	require.Len(t, added, 2)
	id := added[0][0]
	assert.Equal(t, "Instance "+id+" is DRAINING.\n", h.mustRun("sim", "instances", "drain", id))
	status := func(of string) string {
		for _, row := range tableRows(h.mustRun("sim", "instances", "list", "--cluster", "prod")) {
			if row[0] == of {
				return row[3] + " " + row[4]
			}
		}
		return ""
	}
	assert.Equal(t, "DRAINING connected", status(id))
	h.mustRun("sim", "instances", "activate", id)
	h.mustRun("sim", "instances", "disconnect", id)
	assert.Equal(t, "ACTIVE disconnected", status(id))
	h.mustRun("sim", "instances", "connect", id)
	assert.Equal(t, "ACTIVE connected", status(id))
	h.mustRun("sim", "instances", "remove", id)
	assert.Equal(t, "INACTIVE disconnected", strings.Replace(status(id), "INACTIVE connected", "INACTIVE disconnected", 1))

	h.mustRun("sim", "tasks", "fargate", "agent", "--cluster", "prod")
	task := tableRows(h.mustRun("sim", "tasks", "list"))[0]
	assert.Equal(t, []string{"prod", "agent:1", "RUNNING", "RUNNING", "-"}, task[1:6])
	assert.Equal(t, "Task "+task[0]+" exited.\n", h.mustRun("sim", "tasks", "kill", task[0], "--exit-code", "139"))
	assert.Equal(t, "139", tableRows(h.mustRun("sim", "tasks", "list"))[0][7])
	assert.Contains(t, h.run("sim", "tasks", "kill", "absent").err, "not found")
	assert.Contains(t, h.run("sim", "tasks", "kill", task[0], "--exit-code", "300").err,
		"exitCode is not a whole number from 0 to 255")

	h.mustRun("sim", "task-definitions", "register", "checked", "--health-check")
	h.mustRun("sim", "tasks", "fargate", "checked", "--cluster", "prod")
	checked := tableRows(h.mustRun("sim", "tasks", "list"))[1]
	assert.Equal(t, "HEALTHY", checked[8])
	assert.Equal(t, "Task "+checked[0]+" is UNHEALTHY.\n", h.mustRun("sim", "tasks", "health", checked[0], "unhealthy"))
	assert.Equal(t, "UNHEALTHY", tableRows(h.mustRun("sim", "tasks", "list"))[1][8])
	assert.Contains(t, h.run("sim", "tasks", "health", checked[0], "unwell").err, "not HEALTHY, UNHEALTHY or UNKNOWN")
	assert.Equal(t, 2, h.run("sim", "tasks", "health", checked[0]).code)

	definition := writeFile(t, "definition.yml",
		"family: full\ncontainerDefinitions:\n- {name: a, image: b, memory: 64, essential: true}\n")
	assert.Equal(t, "TASK DEFINITION\nfull:1\n", h.mustRun("sim", "task-definitions", "register", "--file", definition))
	h.mustRun("sim", "task-definitions", "register", "agent", "--cpu", "64", "--memory", "64", "--host-port", "8125")
	var list struct{ Items []string }
	h.mustRunJSON(&list, "sim", "task-definitions", "list")
	assert.Len(t, list.Items, 4)
	assert.Contains(t, h.run("sim", "task-definitions", "register", "a b").err, "letters, digits")
	assert.Equal(t, 2, h.run("sim", "task-definitions", "register").code)

	assert.Equal(t, "throttle:\n  ecs: 0.5\nevents: {}\n", h.mustRun("sim", "faults", "set", `{"throttle": {"ecs": 0.5}}`))
	assert.Equal(t, h.sim.Faults(), ecssim.Faults{Throttle: map[string]float64{"ecs": 0.5}})
	assert.Contains(t, h.mustRun("sim", "faults", "show"), "ecs: 0.5")
	h.mustRun("sim", "faults", "set", "--file", writeFile(t, "faults.yml", "startFailures: 0.2\n"))
	assert.InDelta(t, 0.2, h.sim.Faults().StartFailures, 0)
	h.mustRun("sim", "faults", "clear")
	assert.Equal(t, ecssim.Faults{}, h.sim.Faults())
	assert.Contains(t, h.run("sim", "faults", "set", `{"typo": 1}`).err, "typo")
	assert.Equal(t, 2, h.run("sim", "faults", "set").code)

	assert.Equal(t, "ecs is down.\n", h.mustRun("sim", "services", "down", "ecs"))
	assert.Regexp(t, `(?s)Clusters: +default, prod\n.*Instances: +2: 1 ACTIVE, 1 INACTIVE\n.*Down: +ecs\n`,
		h.mustRun("sim", "state"))
	h.mustRun("sim", "services", "up", "ecs")
	var state ecssim.State
	h.mustRunJSON(&state, "sim", "state", "--cluster", "prod")
	assert.Len(t, state.Instances, 2)
	assert.Contains(t, h.mustRun("sim", "counters"), "ListTaskDefinitions:\n    succeeded: ")
	var counters ecssim.Counters
	require.NoError(t, json.Unmarshal([]byte(h.mustRun("sim", "counters", "--reset", "-o", "json")), &counters))
	assert.Empty(t, counters.Calls)
}

func TestSimAlarms_SetsTheStatesOfAlarms(t *testing.T) {
	h := newHarnessWithoutServices(t)
	assert.Equal(t, "Alarm errors is ALARM.\n", h.mustRun("sim", "alarms", "set", "errors", "alarm"))
	h.mustRun("sim", "alarms", "set", "service", "OK", "--composite")
	assert.Equal(t, [][]string{{"errors", "ALARM", "MetricAlarm"}, {"service", "OK", "CompositeAlarm"}},
		tableRows(h.mustRun("sim", "alarms", "list")))
	assert.Contains(t, h.run("sim", "alarms", "set", "errors", "unwell").err, "is not OK, ALARM or INSUFFICIENT_DATA")
	h.mustRun("sim", "alarms", "remove", "errors")
	assert.Contains(t, h.run("sim", "alarms", "remove", "errors").err, "not found")
}
