package robustness

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

// restingTruth is an environment at rest on two instances, with the state of the simulator.
func restingTruth(t *testing.T) (truth, ecssim.State) {
	t.Helper()
	state := ecssim.State{Instances: []ecssim.Instance{
		{ARN: "i1", ClusterARN: "c", Status: "ACTIVE"}, {ARN: "i2", ClusterARN: "c", Status: "ACTIVE"},
		{ARN: "i3", ClusterARN: "c", Status: "INACTIVE"}, {ARN: "i4", ClusterARN: "other", Status: "ACTIVE"},
	}}
	for _, n := range []string{"1", "2"} {
		state.Tasks = append(state.Tasks, ecssim.Task{
			ARN: "t" + n, InstanceARN: "i" + n, Family: "agent", TaskDefinitionARN: "agent:2", LastStatus: "RUNNING",
		})
	}
	state.Tasks = append(state.Tasks, ecssim.Task{ARN: "t0", InstanceARN: "i1", Family: "agent", LastStatus: "STOPPED"})
	got, settled := newTruth("agent", "c", state)
	require.True(t, settled)
	assert.Equal(t, truth{"agent", "agent:2", map[string]string{"i1": "t1", "i2": "t2"}}, got)
	return got, state
}

func TestTruth_IsUnknownWhileTasksChange(t *testing.T) {
	for name, change := range map[string]func(*ecssim.State){
		"a task is missing":             func(s *ecssim.State) { s.Tasks = s.Tasks[1:] },
		"a task starts":                 func(s *ecssim.State) { s.Tasks[0].LastStatus = "PENDING" },
		"a task has another definition": func(s *ecssim.State) { s.Tasks[0].TaskDefinitionARN = "agent:1" },
		"an instance has two tasks":     func(s *ecssim.State) { s.Tasks[1].InstanceARN = "i1" },
		"an instance left with a task":  func(s *ecssim.State) { s.Instances[0].Status = "INACTIVE" },
	} {
		_, state := restingTruth(t)
		change(&state)
		_, settled := newTruth("agent", "c", state)
		assert.False(t, settled, name)
	}
}

func TestSurfaces_ReportDifferencesOfAnEnvironment(t *testing.T) {
	truth, _ := restingTruth(t)
	right := shownEnvironment{
		Name: "agent", Status: "active", Health: "healthy", EffectiveTaskDefinition: "agent:2", Revision: 3,
		EffectiveRevision: 2, DesiredCount: 2, RunningCount: 2, UpdatedCount: 2, AvailableCount: 2,
		Conditions: []condition{{"RolledBack"}, {"CircuitBreakerTripped"}},
	}
	assert.Empty(t, truth.compareEnvironment(right))
	for want, change := range map[string]func(*shownEnvironment){
		"effectiveTaskDefinition is agent:1, not agent:2": func(e *shownEnvironment) { e.EffectiveTaskDefinition = "agent:1" },
		"availableCount is 1, not 2":                      func(e *shownEnvironment) { e.AvailableCount = 1 },
		"outdatedCount is 1, not 0":                       func(e *shownEnvironment) { e.OutdatedCount = 1 },
		"status is deploying, not active":                 func(e *shownEnvironment) { e.Status = "deploying" },
		"the condition Throttled holds":                   func(e *shownEnvironment) { e.Conditions = []condition{{"Throttled"}} },
		"RolledBack holds, but revision 3 is in effect":   func(e *shownEnvironment) { e.EffectiveRevision = 3 },
	} {
		wrong := right
		change(&wrong)
		assert.Equal(t, []string{want}, truth.compareEnvironment(wrong))
	}
}

func TestSurfaces_ReportDifferencesOfInstancesAndDeployments(t *testing.T) {
	truth, _ := restingTruth(t)
	one := shownInstance{"i1", "ACTIVE", "running", "t1", "RUNNING", "d"}
	two := shownInstance{"i2", "ACTIVE", "running", "t2", "RUNNING", "d"}
	assert.Empty(t, truth.compareInstances([]shownInstance{one, two}))
	for want, change := range map[string]func(*shownInstance){
		"i2 is ACTIVE (running) with t9 (RUNNING), not running t2": func(i *shownInstance) { i.Task = "t9" },
		"i2 is ACTIVE (pending) with t2 (RUNNING), not running t2": func(i *shownInstance) { i.State = "pending" },
	} {
		wrong := two
		change(&wrong)
		assert.Equal(t, []string{want}, truth.compareInstances([]shownInstance{one, wrong}))
	}
	left := shownInstance{ContainerInstance: "i3", Status: "INACTIVE", State: "excluded"}
	assert.Equal(t, []string{"i3 is INACTIVE (excluded)", "i2 is missing"}, truth.compareInstances([]shownInstance{one, left}))

	for states, want := range map[string][]string{
		"FAILED agent:3, COMPLETED agent:2":      nil,
		"COMPLETED agent:1, COMPLETED agent:2":   {"d0 is the newest completed one, with agent:1, not agent:2"},
		"IN_PROGRESS agent:2, COMPLETED agent:2": {"d0 is IN_PROGRESS"},
		"FAILED agent:2":                         {"none is completed"},
	} {
		var list deploymentsJSON
		for n, text := range strings.Split(states, ", ") {
			state, definition, _ := strings.Cut(text, " ")
			list.Items = append(list.Items, struct{ ID, RolloutState, TaskDefinition string }{
				"d" + string(rune('0'+n)), state, definition,
			})
		}
		assert.Equal(t, want, truth.compareDeployments(list), states)
	}
}

func TestSurfaces_ReportDifferencesOfMetrics(t *testing.T) {
	truth, _ := restingTruth(t)
	const everyReplica = `# HELP blox_ds_environment_healthy …
blox_ds_environment_healthy{account="1",cluster="c",environment="agent",region="r"} 1
blox_ds_environment_phase{account="1",cluster="c",environment="agent",region="r",phase="active"} 1
blox_ds_environment_phase{account="1",cluster="c",environment="agent",region="r",phase="deploying"} 0
blox_ds_environment_condition_active{account="1",cluster="c",environment="agent",region="r",type="RolledBack"} 1
`
	const duplicate = `blox_ds_daemons_duplicate{account="1",cluster="c",environment="agent",region="r"}`
	leader := everyReplica + `blox_ds_daemons_missing{account="1",cluster="c",environment="agent",region="r"} 0
` + duplicate + " 0\n"
	for state, n := range map[string]string{
		"desired": "2", "available": "2", "updated": "2", "outdated": "0", "unreachable": "0", "misscheduled": "0", "failed": "0",
	} {
		leader += `blox_ds_environment_instances{account="1",cluster="c",environment="agent",region="r",state="` +
			state + `"} ` + n + "\n"
	}
	conditions := []condition{{"RolledBack"}}
	assert.Empty(t, truth.compareMetrics(parseMetrics(leader), true, conditions))
	assert.Empty(t, truth.compareMetrics(parseMetrics(everyReplica), false, conditions))
	assert.Len(t, truth.compareMetrics(parseMetrics(leader), false, conditions), 9, "a follower reports no instances")
	assert.Len(t, truth.compareMetrics(parseMetrics(everyReplica), true, conditions), 9, "the leader reports them")
	for old, changed := range map[string]string{
		`state="available"} 2`: `state="available"} 0`,
		`region="r"} 1`:        `region="r"} 0`,
		`phase="deploying"} 0`: `phase="deploying"} 1`,
		`type="RolledBack"} 1`: `type="RolledBack"} 0`,
		duplicate + " 0":       duplicate + " 1",
	} {
		wrong := strings.Replace(leader, old, changed, 1)
		assert.Len(t, truth.compareMetrics(parseMetrics(wrong), true, conditions), 1, changed)
	}
}

func TestSurfaces_ReadAStreamUntilItsMetadata(t *testing.T) {
	instances, counts, err := readInstances(bufio.NewScanner(strings.NewReader(
		`{"instance":{"containerInstance":"i1","task":"t1"}}
{"counts":{"desiredCount":1,"runningCount":1,"availableCount":0}}
{"metadata":{}}
{"instance":{"containerInstance":"i2"}}
`)))
	require.NoError(t, err)
	assert.Equal(t, []shownInstance{{ContainerInstance: "i1", Task: "t1"}}, instances)
	assert.Equal(t, [3]int{1, 1, 0}, counts)
	_, _, err = readInstances(bufio.NewScanner(strings.NewReader(`{"counts":{}}`)))
	assert.ErrorContains(t, err, "ended before")
}
