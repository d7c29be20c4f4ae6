package robustness

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/blox/blox/internal/ecssim"
)

const promiseSurfaces = "every surface shows what runs"

// truth is what an active environment has at rest, in the simulator's state.
type truth struct {
	environment, definition string            // definition: ARN of the task definition that runs
	tasks                   map[string]string // ARN of the running task, by instance ARN
}

// newTruth returns the environment's tasks. It returns false while an ACTIVE instance does not have exactly one task, a
// RUNNING one, or not all tasks have one definition: other checks report that.
func newTruth(environment, cluster string, state ecssim.State) (t truth, settled bool) {
	t = truth{environment: environment, tasks: map[string]string{}}
	for _, i := range state.Instances {
		if i.ClusterARN == cluster && i.Status == "ACTIVE" {
			t.tasks[i.ARN] = ""
		}
	}
	for _, task := range state.Tasks {
		if task.Family != environment || !task.Live() {
			continue
		}
		other, active := t.tasks[task.InstanceARN]
		t.definition = cmp.Or(t.definition, task.TaskDefinitionARN)
		if !active || other != "" || task.LastStatus != "RUNNING" || task.TaskDefinitionARN != t.definition {
			return t, false
		}
		t.tasks[task.InstanceARN] = task.ARN
	}
	return t, !slices.Contains(slices.Collect(maps.Values(t.tasks)), "")
}

// shownEnvironment is an environment as the API, the list and the CLI show it.
type shownEnvironment struct {
	Name, Status, Health                             string
	EffectiveTaskDefinition                          string
	Revision, EffectiveRevision                      int
	Conditions                                       []condition
	DesiredCount, RunningCount, UpdatedCount         int
	AvailableCount, PendingCount, OutdatedCount      int
	FailedCount, UnreachableCount, MisscheduledCount int
}

type condition struct{ Type string }

// conditionsAtRest are the conditions that an active environment may have without a fault: they report its history.
var conditionsAtRest = []string{"RolledBack", "CircuitBreakerTripped"}

// compareEnvironment returns the differences of an environment from the truth.
func (t truth) compareEnvironment(e shownEnvironment) (differences []string) {
	n := len(t.tasks)
	want := map[string]any{
		"status": "active", "health": "healthy", "effectiveTaskDefinition": t.definition, "desiredCount": n,
		"runningCount": n, "updatedCount": n, "availableCount": n, "pendingCount": 0, "outdatedCount": 0, "failedCount": 0,
		"unreachableCount": 0, "misscheduledCount": 0,
	}
	got := map[string]any{
		"status": e.Status, "health": e.Health, "effectiveTaskDefinition": e.EffectiveTaskDefinition,
		"desiredCount": e.DesiredCount, "runningCount": e.RunningCount, "updatedCount": e.UpdatedCount,
		"availableCount": e.AvailableCount, "pendingCount": e.PendingCount, "outdatedCount": e.OutdatedCount,
		"failedCount": e.FailedCount, "unreachableCount": e.UnreachableCount, "misscheduledCount": e.MisscheduledCount,
	}
	for _, field := range slices.Sorted(maps.Keys(want)) {
		if got[field] != want[field] {
			differences = append(differences, fmt.Sprintf("%s is %v, not %v", field, got[field], want[field]))
		}
	}
	rolledBack := false
	for _, c := range e.Conditions {
		rolledBack = rolledBack || c.Type == "RolledBack"
		if !slices.Contains(conditionsAtRest, c.Type) {
			differences = append(differences, "the condition "+c.Type+" holds")
		}
	}
	if rolledBack && e.EffectiveRevision == e.Revision {
		differences = append(differences, fmt.Sprintf("RolledBack holds, but revision %d is in effect", e.Revision))
	}
	return differences
}

// shownInstance is an instance of an environment as the API, the stream and the CLI show it.
type shownInstance struct{ ContainerInstance, Status, State, Task, TaskStatus, Deployment string }

// compareInstances returns the differences of an environment's instances from the truth.
func (t truth) compareInstances(shown []shownInstance) (differences []string) {
	missing := maps.Clone(t.tasks)
	for _, i := range shown {
		task, active := t.tasks[i.ContainerInstance]
		delete(missing, i.ContainerInstance)
		switch {
		case !active:
			differences = append(differences, fmt.Sprintf("%s is %s (%s)", i.ContainerInstance, i.Status, i.State))
		case i.Status != "ACTIVE" || i.State != "running" || i.Task != task || i.TaskStatus != "RUNNING":
			differences = append(differences, fmt.Sprintf("%s is %s (%s) with %s (%s), not running %s",
				i.ContainerInstance, i.Status, i.State, i.Task, i.TaskStatus, task))
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(missing)) {
		differences = append(differences, arn+" is missing")
	}
	return differences
}

// compareDeployments returns the differences of the deployments, newest first, from the truth: the newest completed one
// has the task definition that runs.
func (t truth) compareDeployments(deployments deploymentsJSON) (differences []string) {
	for _, d := range deployments.Items {
		switch {
		case d.RolloutState == "IN_PROGRESS" || d.RolloutState == "PENDING":
			differences = append(differences, d.ID+" is "+d.RolloutState)
		case d.RolloutState == "COMPLETED" && d.TaskDefinition != t.definition:
			return append(differences, fmt.Sprintf("%s is the newest completed one, with %s, not %s",
				d.ID, d.TaskDefinition, t.definition))
		case d.RolloutState == "COMPLETED":
			return differences
		}
	}
	return append(differences, "none is completed")
}

// compareMetrics returns the differences of a replica's metrics, by series, from the truth. Only the leader reports
// instances.
func (t truth) compareMetrics(series map[string]float64, leads bool, conditions []condition) []string {
	n := float64(len(t.tasks))
	of := func(family string) string { return fmt.Sprintf("%s of %s", family, t.environment) }
	want := map[string]float64{}
	for state, count := range map[string]float64{
		"desired": n, "available": n, "updated": n, "outdated": 0, "unreachable": 0, "misscheduled": 0, "failed": 0,
	} {
		want[of("blox_ds_environment_instances")+", "+state] = count
	}
	want[of("blox_ds_daemons_missing")], want[of("blox_ds_daemons_duplicate")] = 0, 0
	reported := map[string]float64{}
	for name, value := range series {
		family, labels, _ := strings.Cut(name, "{")
		name = fmt.Sprintf("%s of %s", family, labelValue(labels, "environment"))
		if state := labelValue(labels, "state"); state != "" {
			name += ", " + state
		}
		reported[name] = value
	}
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, found := reported[name]
		switch {
		case found && !leads:
			differences = append(differences, name+" is reported, but the replica does not lead")
		case leads && (!found || got != want[name]):
			differences = append(differences, fmt.Sprintf("%s is %v (reported: %t), not %v", name, got, found, want[name]))
		}
	}
	return append(differences, t.compareEveryReplica(series, conditions)...)
}

// compareEveryReplica compares the series that every replica reports.
func (t truth) compareEveryReplica(series map[string]float64, conditions []condition) (found []string) {
	active := map[string]bool{}
	for _, c := range conditions {
		active[c.Type] = true
	}
	for name, value := range series {
		family, labels, _ := strings.Cut(name, "{")
		if !strings.Contains(labels, fmt.Sprintf("environment=%q", t.environment)) {
			continue
		}
		switch {
		case family == "blox_ds_environment_healthy" && value != 1:
			found = append(found, name+" is 0")
		case family == "blox_ds_environment_phase" && (value == 1) != strings.Contains(labels, `phase="active"`):
			found = append(found, fmt.Sprintf("%s is %v", name, value))
		case family == "blox_ds_environment_condition_active":
			kind := labelValue(labels, "type")
			if (value == 1) != active[kind] {
				found = append(found, fmt.Sprintf("%s is %v; the API shows the condition: %t", name, value, active[kind]))
			}
		case family == "blox_ds_deployment_phase_start_timestamp_seconds":
			found = append(found, name+" is reported, but no deployment is in progress")
		}
	}
	slices.Sort(found)
	return found
}

func labelValue(labels, name string) string {
	_, rest, _ := strings.Cut(labels, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
