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
	w := newAWS(t) // no service is needed
	assert.Equal(t, "Cluster prod created.\n", w.ok("sim", "clusters", "add", "prod"))
	added := table(w.ok("sim", "instances", "add", "--cluster", "prod", "--count", "2"))
	require.Len(t, added, 2)
	id := added[0][0]
	assert.Equal(t, "Instance "+id+" is DRAINING.\n", w.ok("sim", "instances", "drain", id))
	status := func(of string) string {
		for _, row := range table(w.ok("sim", "instances", "list", "--cluster", "prod")) {
			if row[0] == of {
				return row[3] + " " + row[4]
			}
		}
		return ""
	}
	assert.Equal(t, "DRAINING connected", status(id))
	w.ok("sim", "instances", "activate", id)
	w.ok("sim", "instances", "disconnect", id)
	assert.Equal(t, "ACTIVE disconnected", status(id))
	w.ok("sim", "instances", "connect", id)
	assert.Equal(t, "ACTIVE connected", status(id))
	w.ok("sim", "instances", "remove", id)
	assert.Equal(t, "INACTIVE disconnected", strings.Replace(status(id), "INACTIVE connected", "INACTIVE disconnected", 1))

	w.ok("sim", "tasks", "fargate", "agent", "--cluster", "prod")
	task := table(w.ok("sim", "tasks", "list"))[0]
	assert.Equal(t, []string{"prod", "agent:1", "RUNNING", "RUNNING", "-"}, task[1:6])
	assert.Equal(t, "Task "+task[0]+" exited.\n", w.ok("sim", "tasks", "kill", task[0], "--exit-code", "139"))
	assert.Equal(t, "139", table(w.ok("sim", "tasks", "list"))[0][7])
	assert.Contains(t, w.blox("sim", "tasks", "kill", "nobody").err, "not found")
	assert.Contains(t, w.blox("sim", "tasks", "kill", task[0], "--exit-code", "300").err, "exitCode is not a whole number from 0 to 255")

	definition := file(t, "definition.yml", "family: full\ncontainerDefinitions:\n- {name: a, image: b, memory: 64, essential: true}\n")
	assert.Equal(t, "TASK DEFINITION\nfull:1\n", w.ok("sim", "task-definitions", "register", "--file", definition))
	w.ok("sim", "task-definitions", "register", "agent", "--cpu", "64", "--memory", "64", "--host-port", "8125")
	var list struct{ Items []string }
	w.json(&list, "sim", "task-definitions", "list")
	assert.Len(t, list.Items, 3)
	assert.Contains(t, w.blox("sim", "task-definitions", "register", "a b").err, "letters, digits")
	assert.Equal(t, 2, w.blox("sim", "task-definitions", "register").code)

	assert.Equal(t, "throttle:\n  ecs: 0.5\nevents: {}\n", w.ok("sim", "faults", "set", `{"throttle": {"ecs": 0.5}}`))
	assert.Equal(t, w.sim.Faults(), ecssim.Faults{Throttle: map[string]float64{"ecs": 0.5}})
	assert.Contains(t, w.ok("sim", "faults", "show"), "ecs: 0.5")
	w.ok("sim", "faults", "set", "--file", file(t, "faults.yml", "startFailures: 0.2\n"))
	assert.InDelta(t, 0.2, w.sim.Faults().StartFailures, 0)
	w.ok("sim", "faults", "clear")
	assert.Equal(t, ecssim.Faults{}, w.sim.Faults())
	assert.Contains(t, w.blox("sim", "faults", "set", `{"typo": 1}`).err, "typo")
	assert.Equal(t, 2, w.blox("sim", "faults", "set").code)

	assert.Equal(t, "ecs is down.\n", w.ok("sim", "services", "down", "ecs"))
	assert.Regexp(t, `(?s)Clusters: +default, prod\n.*Instances: +2: 1 ACTIVE, 1 INACTIVE\n.*Down: +ecs\n`, w.ok("sim", "state"))
	w.ok("sim", "services", "up", "ecs")
	var state ecssim.State
	w.json(&state, "sim", "state", "--cluster", "prod")
	assert.Len(t, state.Instances, 2)
	assert.Contains(t, w.ok("sim", "counters"), "ListTaskDefinitions:\n    ok: ")
	var counters ecssim.Counters
	require.NoError(t, json.Unmarshal([]byte(w.ok("sim", "counters", "--reset", "-o", "json")), &counters))
	assert.Empty(t, counters.Calls)
}
