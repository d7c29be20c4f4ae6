package environment

import "time"

// AttributeState is the state of a readiness attribute on an instance.
type AttributeState string

// An attribute is AttributeOpen from before ECS is called until the call is answered.
const (
	AttributeOpen    AttributeState = "open"
	AttributeSet     AttributeState = "set"
	AttributeRemoved AttributeState = "removed" // an unanswered call may still set it
)

// ReadyValue is the value of a readiness attribute that is set.
const ReadyValue = "true"

// AttributeWindow is how long after its record is written an attribute may be set or removed.
const AttributeWindow = 10 * time.Second

// ReadinessAttribute is a readiness attribute that Blox has set on a container instance, or is about to set. Blox
// removes only attributes that it has set.
type ReadinessAttribute struct {
	Name     string `json:"-"` // part of the record's key
	Instance string `json:"-"` // ARN; part of the record's key

	Cluster string // ARN
	State   AttributeState
	// NotAfter is until when an open or unanswered call may be made; zero if all calls were answered.
	NotAfter time.Time `json:",omitzero"`

	StoredVersion int64 `json:"-"` // increases with each write of the record; 0: not stored
	unknown       unknownFields
}

// AttributeKey identifies a ReadinessAttribute.
type AttributeKey struct{ Name, Instance string }

// Key returns the attribute's key.
func (a ReadinessAttribute) Key() AttributeKey { return AttributeKey{a.Name, a.Instance} }
