package environment

import "time"

// AttributeState is what is known of a readiness attribute on an instance.
type AttributeState string

// A mark is AttributeOpen from before ECS is called until the call is answered.
const (
	AttributeOpen    AttributeState = "open"
	AttributeSet     AttributeState = "set"
	AttributeRemoved AttributeState = "removed" // and a call that was never answered may set it yet
)

// AttributeWindow is how long after its record is written a call about a mark may be made.
const AttributeWindow = 10 * time.Second

// ReadinessAttribute is a readiness attribute that Blox has put on a container instance, or is about to: it takes away only what it has
// put there. Its JSON is the record at ecs/readiness/<attribute, as in a URL's path>/<instance ARN>.
type ReadinessAttribute struct {
	Name     string `json:"-"` // its name; in the key
	Instance string `json:"-"` // ARN; in the key

	Cluster string // ARN
	State   AttributeState
	// NotAfter is until when a call may be made that is open or was never answered; zero when all were answered.
	NotAfter time.Time `json:",omitzero"`

	StoredVersion int64 `json:"-"` // etcd's mod revision of the record as read; 0: not stored
	unknown       unknownFields
}

// AttributeKey tells marks apart.
type AttributeKey struct{ Name, Instance string }

// Key is what tells the mark apart.
func (m ReadinessAttribute) Key() AttributeKey { return AttributeKey{m.Name, m.Instance} }
