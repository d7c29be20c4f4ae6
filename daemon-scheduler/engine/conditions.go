package engine

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/ecsapi"
	"github.com/blox/blox/daemon-scheduler/environment"
)

var (
	// callConditions end when a reconciliation of the environment succeeds.
	callConditions = []environment.ConditionType{
		environment.ConditionCredentialsExpired, environment.ConditionThrottled, environment.ConditionECSUnavailable,
	}
	// startConditions end when ECS accepts a StartTask of the deployment.
	startConditions = []environment.ConditionType{
		environment.ConditionAccessDenied, environment.ConditionTaskDefinitionRejected,
	}
)

// conditions holds the conditions of environments. It is safe for concurrent use.
type conditions struct {
	mu            sync.Mutex
	byEnvironment map[string]map[environment.ConditionType]environment.Condition
}

// set records a condition. One of the same type keeps its time.
func (c *conditions) set(name string, conditionType environment.ConditionType, outcome ecsapi.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byEnvironment == nil {
		c.byEnvironment = map[string]map[environment.ConditionType]environment.Condition{}
	}
	if c.byEnvironment[name] == nil {
		c.byEnvironment[name] = map[environment.ConditionType]environment.Condition{}
	}
	condition, holds := c.byEnvironment[name][conditionType]
	if !holds {
		condition = environment.Condition{
			Type: conditionType, Status: environment.ConditionTrue, LastTransitionTime: time.Now().UTC(),
		}
	}
	condition.Reason = outcome.Code
	condition.Message = outcome.Message
	c.byEnvironment[name][conditionType] = condition
}

// clear ends conditions of an environment.
func (c *conditions) clear(name string, types ...environment.ConditionType) {
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
func (c *conditions) has(name string, types ...environment.ConditionType) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(types, func(t environment.ConditionType) bool {
		_, holds := c.byEnvironment[name][t]
		return holds
	})
}

// list returns an environment's conditions by type.
func (c *conditions) list(name string) []environment.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	byType := func(a, b environment.Condition) int { return cmp.Compare(a.Type, b.Type) }
	return slices.SortedFunc(maps.Values(c.byEnvironment[name]), byType)
}

// Conditions returns the conditions that this replica has observed of an environment, by type. Only the leader observes
// any.
func (e *Engine) Conditions(name string) []environment.Condition { return e.conditions.list(name) }

// conditionOf returns the type of the condition that the failure of a StartTask or of a read shows.
func conditionOf(outcome ecsapi.Outcome) environment.ConditionType {
	switch {
	case outcome.RefusesCaller():
		return environment.ConditionCredentialsExpired
	case outcome.Throttled():
		return environment.ConditionThrottled
	case outcome.Scope == ecsapi.ScopeCaller:
		return environment.ConditionECSUnavailable
	case outcome.DeniesAccess():
		return environment.ConditionAccessDenied
	}
	return environment.ConditionTaskDefinitionRejected
}
