package environment

import "time"

// MarkState is what is known of a readiness attribute on an instance.
type MarkState string

// A mark is MarkOpen from before ECS is called until the call is answered.
const (
	MarkOpen    MarkState = "open"
	MarkSet     MarkState = "set"
	MarkRemoved MarkState = "removed" // and a call that was never answered may set it yet
)

// MarkWindow is how long after its record is written a call about a mark may be made.
const MarkWindow = 10 * time.Second

// Mark is a readiness attribute that Blox has put on a container instance, or is about to: it takes away only what it has
// put there. Its JSON is the record at ecs/readiness/<attribute, as in a URL's path>/<instance ARN>.
type Mark struct {
	Attribute string `json:"-"` // its name; in the key
	Instance  string `json:"-"` // ARN; in the key

	Cluster string // ARN
	State   MarkState
	// NotAfter is until when a call may be made that is open or was never answered; zero when all were answered.
	NotAfter time.Time `json:",omitzero"`

	Revision int64 `json:"-"` // etcd's mod revision of the record as read; 0: not stored
	unknown  fields
}

// MarkKey tells marks apart.
type MarkKey struct{ Attribute, Instance string }

// Key is what tells the mark apart.
func (m Mark) Key() MarkKey { return MarkKey{m.Attribute, m.Instance} }
