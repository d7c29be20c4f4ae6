// Package rules judges the changes of the simulator by the promises about rollouts. It is pure: the changes and the
// responses of daemon-scheduler go in, and violations come out. It knows ECS's truth, not what Blox has seen of it.
package rules

import (
	"fmt"
	"time"

	"github.com/blox/blox/internal/ecssim"
)

// The promises that the package checks.
const (
	PromiseMinimum = "rollouts keep the minimum of available tasks"
	PromiseUndone  = "a completed rollout is never undone"
	PromiseBreaker = "the circuit breaker trips only after failures"
)

// Environment is what the rules depend on of an environment.
type Environment struct {
	Name           string // also the family of its task definitions
	ClusterARN     string
	MinimumHealthy int  // minimumHealthyPercent
	StartFirst     bool // maximumPercent is above 100
	HealthCheck    bool // its task definitions have container health checks
	Threshold      int  // failures that trip the circuit breaker; 0 if it is disabled
}

// Deployment is a deployment as daemon-scheduler reports it.
type Deployment struct {
	ID, TaskDefinition, RolloutState, RolloutStateReason string
}

// Violation is a promise that did not hold.
type Violation struct{ Promise, Detail string }

// Judge receives the simulator's changes in order, and reports violations. It is not safe for concurrent use.
type Judge struct {
	delay        time.Duration
	instances    map[string]*instance       // by ARN
	environments map[string]*environment    // by name
	announced    map[string]bool            // tasks whose replacement Blox has recorded, by ARN
	failures     map[string]map[string]bool // failed tasks and starts, by deployment
	active       map[string][]activeCount   // by cluster ARN, oldest first
	violations   []Violation
}

// NewJudge returns a judge of environments without tasks. Delay is the longest time after which Blox knows a change
// that it did not make.
func NewJudge(delay time.Duration) *Judge {
	return &Judge{
		delay: delay, instances: map[string]*instance{}, environments: map[string]*environment{},
		announced: map[string]bool{}, active: map[string][]activeCount{}, failures: map[string]map[string]bool{},
	}
}

// Add adds an environment before its first deployment.
func (j *Judge) Add(e Environment) {
	if j.environments[e.Name] == nil {
		j.environments[e.Name] = &environment{
			Environment: e, places: map[string]*place{}, firstTaskAt: map[string]time.Time{},
			definitions: map[string]string{}, completed: map[string]time.Time{}, failed: map[string]bool{},
			reported: map[string]bool{},
		}
	}
}

// Announce records that Blox has recorded the replacement of a task before it stops the task. So Blox knows that the
// stop takes an available task away, however little time the task has run.
func (j *Judge) Announce(task string) { j.announced[task] = true }

// Apply applies a change.
func (j *Judge) Apply(c ecssim.Change) {
	switch {
	case c.Instance != nil:
		j.applyInstance(c.At, *c.Instance)
	case c.Refusal != nil:
		j.applyRefusal(*c.Refusal)
	case c.Task != nil && j.environments[c.Task.Family] != nil:
		j.applyTask(j.environments[c.Task.Family], c.At, *c.Task)
	}
}

// Observe judges an environment's deployments, newest first, by a request that was sent at the given time, after the
// changes applied so far, and returned now.
func (j *Judge) Observe(name string, sent, now time.Time, deployments []Deployment) {
	e := j.environments[name]
	if e == nil {
		return
	}
	j.judgeStops(e, sent, deployments)
	j.judgeCompleted(e, now, deployments)
	j.judgeFailed(e, deployments)
}

// Violations returns the violations since the last call.
func (j *Judge) Violations() []Violation {
	all := j.violations
	j.violations = nil
	return all
}

func (j *Judge) report(promise, format string, args ...any) {
	j.violations = append(j.violations, Violation{promise, fmt.Sprintf(format, args...)})
}
