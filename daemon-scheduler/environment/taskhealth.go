package environment

import (
	"slices"
	"strings"
	"time"
)

// HealthStatus is the result of container health checks, as ECS spells it.
type HealthStatus string

// The health statuses. Of a task without a known result, it is empty.
const (
	HealthHealthy   HealthStatus = "HEALTHY"
	HealthUnhealthy HealthStatus = "UNHEALTHY"
	HealthUnknown   HealthStatus = "UNKNOWN"
)

// TaskHealth is the last result of a task's container health checks that ECS has reported. Its JSON is the stored
// record, from which every replica and the next leader know it: events carry no health.
type TaskHealth struct {
	Environment string `json:"-"` // its name; part of the record's key
	Task        string `json:"-"` // ARN; part of the record's key

	Status HealthStatus // HEALTHY or UNHEALTHY
	Reason string       `json:",omitempty"` // names the UNHEALTHY containers

	StoredVersion int64 `json:"-"` // increases with each write of the record; 0: not stored
}

// NewTaskHealth returns the health of a task whose containers have these results, by name. Only the checked containers
// count. The status is HEALTHY if all of them are, and UNHEALTHY if one of them is.
func NewTaskHealth(task string, checked []string, results map[string]HealthStatus) TaskHealth {
	h := TaskHealth{Task: task, Status: HealthHealthy}
	var unhealthy []string
	for _, name := range slices.Sorted(slices.Values(checked)) {
		switch results[name] {
		case HealthHealthy:
		case HealthUnhealthy:
			unhealthy = append(unhealthy, name)
		default:
			h.Status = HealthUnknown
		}
	}
	switch len(unhealthy) {
	case 0:
		return h
	case 1:
		h.Reason = "Container " + unhealthy[0] + " is UNHEALTHY."
	default:
		h.Reason = "Containers " + strings.Join(unhealthy, ", ") + " are UNHEALTHY."
	}
	h.Status = HealthUnhealthy
	return h
}

// ApplyHealth sets the health of the environment's tasks to what is known, by task ARN. A task counts as checked if the
// deployment that started it has containers with health checks.
func (e Environment) ApplyHealth(tasks []Task, known map[string]TaskHealth) {
	for n := range tasks {
		t := &tasks[n]
		if t.HealthChecked = len(e.Deployments[t.StartedBy].CheckedContainers) > 0; t.HealthChecked {
			health := known[t.ARN]
			t.Health = health.Status
			t.HealthReason = health.Reason
		}
	}
}

// WithHealthChecks records which containers of a deployment's task definition have health checks that count.
func (e Environment) WithHealthChecks(id string, containers []string) Environment {
	d := e.Deployments[id]
	d.CheckedContainers = containers
	d.HealthChecksKnown = true
	return e.withDeployment(d)
}

// ChecksHealth reports whether a deployment of the environment has containers with health checks.
func (e Environment) ChecksHealth() bool {
	for _, d := range e.Deployments {
		if len(d.CheckedContainers) > 0 {
			return true
		}
	}
	return false
}

// MeasuresAvailability reports whether the plan for the environment depends on since when its tasks are available.
func (e Environment) MeasuresAvailability() bool {
	minimum := func(s Spec) bool { return s.DeploymentConfiguration.MinimumHealthySeconds > 0 }
	_, rollsOut := e.InProgress()
	return rollsOut || e.ChecksHealth() || slices.ContainsFunc(e.SpecsInEffect(), minimum)
}

// Availability is since when a RUNNING task has been available, or has not been, by the clock of the replica that has
// seen it: ECS does not report it, and other clocks may be wrong.
type Availability struct {
	Available    bool
	Since        time.Time
	AvailableFor time.Duration // for how long it was available before it no longer was
}
