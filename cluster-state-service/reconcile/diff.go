package reconcile

import (
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

// settled is the age from which a record that ECS does not know any more is believed gone: ECS's lists and Describe calls
// are eventually consistent. Source: "API eventual consistency" in the Amazon ECS API Reference.
const settled = 5 * time.Minute

// entity is what Diff needs of a task or container instance.
type entity[T any] interface {
	Equivalent(T) bool
	LastChanged() time.Time
}

// found is an entity as ECS describes it now.
type found[T any] struct {
	key     state.Key
	entity  T
	version int64
	value   []byte // to store
	// inactive instances are known to ECS but will never be used again.
	inactive bool
}

// Diff returns what has to change in what is stored for it to say what ECS says. gone are stored keys that ECS calls missing.
// An older version never replaces a newer one: the event was quicker than ECS's answer.
func Diff[T entity[T]](stored cache.Index[T], present []found[T], gone []state.Key, now time.Time) []state.Correction {
	var corrections []state.Correction
	for _, f := range present {
		have := stored.Get(f.key.String())
		switch {
		case have == nil:
			if !f.inactive {
				corrections = append(corrections, state.Correction{Key: f.key, Value: f.value})
			}
		case f.inactive && now.Sub(have.Entity.LastChanged()) > settled:
			corrections = append(corrections, state.Correction{Key: f.key, Revision: have.Revision})
		case f.version > have.Version, f.version == have.Version && !f.entity.Equivalent(have.Entity):
			corrections = append(corrections, state.Correction{Key: f.key, Value: f.value, Revision: have.Revision})
		}
	}
	for _, key := range gone {
		have := stored.Get(key.String())
		if have != nil && now.Sub(have.Entity.LastChanged()) > settled {
			corrections = append(corrections, state.Correction{Key: key, Revision: have.Revision})
		}
	}
	return corrections
}
