package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/ecserrors"
)

// maxConditionMessage bounds the message of a condition, in bytes.
const maxConditionMessage = 1000

// reasonNoResponse is the reason of a condition without an error code of ECS.
const reasonNoResponse = "NoResponse"

var (
	// callConditions end when a reconciliation of the environment succeeds.
	callConditions = []environment.ConditionType{
		environment.ConditionCredentialsExpired, environment.ConditionRoleNotAssumed, environment.ConditionThrottled,
		environment.ConditionECSUnavailable,
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

// set records a condition. One of the same type keeps its time and, while ECS's error code is the same, its message:
// that may name another task or request each time.
func (c *conditions) set(name string, conditionType environment.ConditionType, outcome ecserrors.Outcome) {
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
			Type: conditionType, Status: environment.ConditionTrue, LastTransitionTime: time.Now().UTC().Round(0),
		}
	}
	// What Blox finds itself, without an error, has a stable message.
	if reason := cmp.Or(outcome.Code, reasonNoResponse); condition.Reason != reason || outcome.Err == nil {
		condition.Reason = reason
		message := outcome.Message[:min(len(outcome.Message), maxConditionMessage)]
		condition.Message = strings.ToValidUTF8(message, "") // as JSON would: a stored message must equal this one
	}
	c.byEnvironment[name][conditionType] = condition
}

// inherit records the conditions that a former leader has stored.
func (c *conditions) inherit(stored environment.ObservedConditions) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(stored.Conditions) == 0 {
		return
	}
	held := map[environment.ConditionType]environment.Condition{}
	for _, condition := range stored.Conditions {
		held[condition.Type] = condition
	}
	if c.byEnvironment == nil {
		c.byEnvironment = map[string]map[environment.ConditionType]environment.Condition{}
	}
	c.byEnvironment[stored.Environment] = held
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

// inheritConditions begins a term with the conditions that the former leader has stored. They end as if this replica
// had observed them.
func (e *Engine) inheritConditions(name string) {
	stored := e.Cache.ObservedConditions(name)
	if env, err := e.Cache.Record(name); err == nil && env.Incarnation == stored.Incarnation {
		e.conditions.inherit(stored)
	}
}

// storeConditions writes the conditions of an environment for the other replicas if they have changed, and removes
// those of an environment that was deleted.
func (e *Engine) storeConditions(ctx context.Context, leader *leaderState, name string) error {
	env, err := e.Cache.Record(name)
	if err != nil && !errors.Is(err, environment.ErrNotFound) {
		return nil // the record is malformed, and the reconciliation has failed for it
	}
	stored := e.Cache.ObservedConditions(name)
	current := environment.ObservedConditions{
		Environment: name, Incarnation: env.Incarnation, Conditions: e.conditions.list(name),
		StoredVersion: stored.StoredVersion,
	}
	if err != nil {
		current.Conditions = nil
	}
	if malformed := stored.StoredVersion > 0 && len(stored.Conditions) == 0; current.Equal(stored) && !malformed {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if _, err := e.Store.CommitConditions(ctx, leader.Term, current); err != nil {
		return err
	}
	if env.Name != "" {
		e.recordConditionEvents(env, stored, current)
	}
	return nil
}

// recordConditionEvents records an event for each condition that has appeared or cleared between two records. Equal
// events are merged, so a condition that comes and goes fills no list of events.
func (e *Engine) recordConditionEvents(env environment.Environment, before, after environment.ObservedConditions) {
	if before.Incarnation != env.Incarnation { // of a deleted environment of the same name
		before.Conditions = nil
	}
	r := reconciliation{Engine: e, env: env}
	record := func(action environment.EventAction, in, notIn []environment.Condition) {
		for _, c := range in {
			held := func(other environment.Condition) bool { return other.Type == c.Type }
			if !slices.ContainsFunc(notIn, held) {
				r.recordEvent(environment.Event{
					Action: action, Reason: string(c.Type), Detail: c.Reason + ": " + c.Message, Count: 1,
				})
			}
		}
	}
	record(environment.EventConditionCleared, before.Conditions, after.Conditions)
	record(environment.EventConditionAppeared, after.Conditions, before.Conditions)
}

// conditionOf returns the type of the condition that the failure of a StartTask or of a read shows.
func conditionOf(outcome ecserrors.Outcome) environment.ConditionType {
	switch {
	case outcome.Role != "":
		return environment.ConditionRoleNotAssumed
	case outcome.RefusesCaller():
		return environment.ConditionCredentialsExpired
	case outcome.Throttled():
		return environment.ConditionThrottled
	case outcome.Scope == ecserrors.ScopeCaller:
		return environment.ConditionECSUnavailable
	case outcome.DeniesAccess():
		return environment.ConditionAccessDenied
	}
	return environment.ConditionTaskDefinitionRejected
}
