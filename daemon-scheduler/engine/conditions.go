package engine

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
)

// ConditionType names why calls of ECS for an environment fail.
type ConditionType string

// The types of conditions.
const (
	ConditionCredentialsExpired     ConditionType = "CredentialsExpired"     // AWS refuses the credentials or the clock
	ConditionThrottled              ConditionType = "Throttled"              // ECS throttles the account
	ConditionECSUnavailable         ConditionType = "ECSUnavailable"         // ECS fails or cannot be reached
	ConditionAccessDenied           ConditionType = "AccessDenied"           // ECS denies StartTask or iam:PassRole
	ConditionTaskDefinitionRejected ConditionType = "TaskDefinitionRejected" // ECS rejects every start of the deployment
	ConditionTaskStopFailed         ConditionType = "TaskStopFailed"         // ECS rejects StopTask
)

var (
	// callConditions end when a reconciliation of the environment succeeds.
	callConditions = []ConditionType{ConditionCredentialsExpired, ConditionThrottled, ConditionECSUnavailable}
	// startConditions end when ECS accepts a StartTask of the deployment.
	startConditions = []ConditionType{ConditionAccessDenied, ConditionTaskDefinitionRejected}
)

// Condition is an observation about an environment that holds until it is no longer made.
type Condition struct {
	Type    ConditionType
	Reason  string // ECS's error code; empty if there is none
	Message string
	Since   time.Time
}

// conditions holds the conditions of environments. It is safe for concurrent use.
type conditions struct {
	mu            sync.Mutex
	byEnvironment map[string]map[ConditionType]Condition
}

// set records a condition. One of the same type keeps its time.
func (c *conditions) set(name string, conditionType ConditionType, outcome ecsapi.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byEnvironment == nil {
		c.byEnvironment = map[string]map[ConditionType]Condition{}
	}
	if c.byEnvironment[name] == nil {
		c.byEnvironment[name] = map[ConditionType]Condition{}
	}
	condition, holds := c.byEnvironment[name][conditionType]
	if !holds {
		condition = Condition{Type: conditionType, Since: time.Now().UTC()}
	}
	condition.Reason = outcome.Code
	condition.Message = outcome.Message
	c.byEnvironment[name][conditionType] = condition
}

// clear ends conditions of an environment.
func (c *conditions) clear(name string, types ...ConditionType) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conditionType := range types {
		delete(c.byEnvironment[name], conditionType)
	}
	if len(c.byEnvironment[name]) == 0 {
		delete(c.byEnvironment, name)
	}
}

// forget ends all conditions of an environment.
func (c *conditions) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byEnvironment, name)
}

// reset ends all conditions of all environments.
func (c *conditions) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byEnvironment = nil
}

// has reports whether one of the conditions holds for an environment.
func (c *conditions) has(name string, types ...ConditionType) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(types, func(t ConditionType) bool {
		_, holds := c.byEnvironment[name][t]
		return holds
	})
}

// list returns an environment's conditions by type.
func (c *conditions) list(name string) []Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	byType := func(a, b Condition) int { return cmp.Compare(a.Type, b.Type) }
	return slices.SortedFunc(maps.Values(c.byEnvironment[name]), byType)
}

// Conditions returns the conditions that this replica has observed of an environment, by type. Only the leader observes
// any.
func (e *Engine) Conditions(name string) []Condition { return e.conditions.list(name) }

// conditionOf returns the type of the condition that the failure of a StartTask or of a read shows.
func conditionOf(outcome ecsapi.Outcome) ConditionType {
	switch {
	case outcome.RefusesCaller():
		return ConditionCredentialsExpired
	case outcome.Throttled():
		return ConditionThrottled
	case outcome.Scope == ecsapi.ScopeCaller:
		return ConditionECSUnavailable
	case outcome.DeniesAccess():
		return ConditionAccessDenied
	}
	return ConditionTaskDefinitionRejected
}
