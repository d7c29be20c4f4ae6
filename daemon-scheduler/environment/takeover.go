package environment

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// TakeoverState is how far a takeover is.
type TakeoverState string

// The states of a takeover.
const (
	TakeoverPlanned   TakeoverState = "PLANNED"   // of a dry run
	TakeoverMoving    TakeoverState = "MOVING"    // instance by instance, from the service to the environment
	TakeoverCompleted TakeoverState = "COMPLETED" // the service has no tasks
	TakeoverCancelled TakeoverState = "CANCELLED" // instance by instance, back to the service
)

// StartOrder says what comes first on an instance of a takeover, in ECS's words.
type StartOrder string

// With StartFirst, the service's task stops after the environment's task is available.
const (
	StartFirst StartOrder = "START_FIRST"
	StopFirst  StartOrder = "STOP_FIRST"
)

// Takeover is the move of a DAEMON service's tasks to an environment. The service has a placement constraint that
// excludes instances with the environment's takeover attribute, so ECS stops the service's task on an instance when
// Blox sets the attribute there.
type Takeover struct {
	Service       string                // ARN
	Constraints   []PlacementConstraint `json:",omitempty"` // of the service before the takeover
	Order         StartOrder
	DeleteService bool `json:",omitempty"` // in the end
	State         TakeoverState
	Since         time.Time // when State last changed
	// Applied is the state for which the service has been updated.
	Applied TakeoverState `json:",omitempty"`
}

// ServiceName returns the name of the service.
func (t Takeover) ServiceName() string { return resourceName(t.Service) }

// TakeoverAttribute returns the custom attribute of instances that the environment has taken over.
func (e Environment) TakeoverAttribute() string { return "blox.takeover." + e.Name }

// Moves reports whether instances are being moved, to the environment or back.
func (t *Takeover) Moves() bool {
	return t != nil && (t.State == TakeoverMoving || t.State == TakeoverCancelled)
}

// MarksInstances reports whether instances have the takeover attribute, once it is their turn. After the move, it is
// needed until the service has a constraint without it.
func (t *Takeover) MarksInstances() bool {
	return t != nil && (t.State == TakeoverMoving || t.State == TakeoverCompleted && t.Applied != TakeoverCompleted)
}

// ServiceConstraints returns the placement constraints that the service is to have in the takeover's state. After the
// move, no instance meets them.
func (e Environment) ServiceConstraints() []PlacementConstraint {
	constraints := slices.Clone(e.Takeover.Constraints)
	attribute := "attribute:" + e.TakeoverAttribute()
	switch e.Takeover.State {
	case TakeoverMoving, TakeoverPlanned:
		constraints = append(constraints, PlacementConstraint{constraintMemberOf, attribute + " not_exists"})
	case TakeoverCompleted:
		constraints = append(constraints, PlacementConstraint{constraintMemberOf, attribute + " == service"})
	}
	return constraints
}

// NewTakeover returns the takeover of a service by an environment whose tasks have d.
func NewTakeover(s Service, d TaskDefinition, deleteService bool, now time.Time) *Takeover {
	t := &Takeover{
		Service: s.ARN, Constraints: s.Constraints, Order: StartFirst, DeleteService: deleteService,
		State: TakeoverMoving, Since: now.UTC(),
	}
	if d.StaticPorts {
		t.Order = StopFirst // two tasks cannot have the same host port
	}
	return t
}

// Reason returns why the takeover has its order.
func (t Takeover) Reason() string {
	if t.Order == StopFirst {
		return "The task definition has static host ports, which only one task on an instance can have."
	}
	return "On instances without room for both tasks, the service's task stops first."
}

// CompleteTakeover records that the service has no tasks left.
func (e Environment) CompleteTakeover(now time.Time) Environment {
	return e.withTakeover(TakeoverCompleted, now)
}

// CancelTakeover begins to move the tasks back to the service.
func (e Environment) CancelTakeover(now time.Time) (Environment, error) {
	switch {
	case e.checkNotDeleting() != nil:
		return e, e.checkNotDeleting()
	case e.Takeover == nil:
		return e, &domainError{ErrNoTakeover, "Environment " + e.Name + " takes no service over"}
	case e.Takeover.State == TakeoverCancelled:
		return e, nil
	case e.Takeover.State == TakeoverCompleted && e.Takeover.DeleteService:
		return e, &domainError{ErrNoTakeover, "The takeover by environment " + e.Name + " has deleted the service"}
	}
	e = e.withTakeover(TakeoverCancelled, now)
	for d, ok := e.InProgress(); ok; d, ok = e.InProgress() {
		e = e.endDeployment(d, RolloutStopped, "The takeover was cancelled.", now)
	}
	return e, nil
}

func (e Environment) withTakeover(state TakeoverState, now time.Time) Environment {
	t := *e.Takeover
	t.State, t.Since = state, now.UTC()
	e.Takeover = &t
	return e
}

// checkNotHandedBack returns an error after the takeover was cancelled: the instances are the service's again.
func (e Environment) checkNotHandedBack() error {
	if e.Takeover != nil && e.Takeover.State == TakeoverCancelled {
		text := "The takeover by environment " + e.Name + " was cancelled; delete the environment"
		return &domainError{ErrNoTakeover, text}
	}
	return nil
}

// ApplyTakeover records that the service has been updated for the takeover's state.
func (e Environment) ApplyTakeover() Environment {
	t := *e.Takeover
	t.Applied = t.State
	e.Takeover = &t
	return e
}

// takeover is the condition that shows how far a takeover is.
func takeover(e Environment) (Condition, bool) {
	if e.Takeover == nil {
		return Condition{}, false
	}
	t := *e.Takeover
	text := map[TakeoverState]string{
		TakeoverPlanned:   "The tasks of service %s would move to the environment, %s.",
		TakeoverMoving:    "The tasks of service %s move to the environment, %s.",
		TakeoverCompleted: "The environment has taken over service %s, %s.",
		TakeoverCancelled: "The takeover was cancelled; the instances return to service %s, %s.",
	}[t.State]
	order := strings.ToLower(strings.ReplaceAll(string(t.Order), "_", " "))
	reason := string(t.State[:1]) + strings.ToLower(string(t.State[1:]))
	return Condition{
		Type: ConditionTakeover, Reason: reason, Message: fmt.Sprintf(text, t.ServiceName(), order),
		LastTransitionTime: t.Since,
	}, true
}
