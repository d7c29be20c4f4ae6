package reconcile

import (
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

// removalAge is how long a record must not have changed before Diff removes it: ECS's List and Describe calls are
// eventually consistent. Source: "API eventual consistency" in the Amazon ECS API Reference.
const removalAge = 5 * time.Minute

// entity is what Diff needs of a task or container instance.
type entity[T any] interface {
	Equivalent(T) bool
	LastChanged() time.Time
}

// description is the result of describing entities in ECS.
type description[T any] struct {
	present []described[T]
	missing []string // ARNs
}

// described is an entity as ECS describes it now.
type described[T any] struct {
	key      state.Key
	entity   T
	version  int64
	value    []byte // to be stored
	inactive bool   // ECS knows the instance, but will not use it again
}

// Diff returns the corrections that make the stored records equal to ECS. missing are stored keys that ECS reports as
// missing. An older version never replaces a newer one: its event may be faster than the response of ECS.
func Diff[T entity[T]](
	stored cache.Index[T], present []described[T], missing []state.Key, now time.Time,
) []state.Correction {
	var corrections []state.Correction
	for _, d := range present {
		record := stored.Get(d.key.String())
		switch {
		case record == nil:
			if !d.inactive {
				corrections = append(corrections, state.Correction{Key: d.key, Value: d.value})
			}
		case d.inactive && now.Sub(record.Entity.LastChanged()) > removalAge:
			corrections = append(corrections, state.Correction{Key: d.key, Revision: record.Revision})
		case d.version > record.Version, d.version == record.Version && !d.entity.Equivalent(record.Entity):
			corrections = append(corrections, state.Correction{Key: d.key, Value: d.value, Revision: record.Revision})
		}
	}
	for _, key := range missing {
		record := stored.Get(key.String())
		if record != nil && now.Sub(record.Entity.LastChanged()) > removalAge {
			corrections = append(corrections, state.Correction{Key: key, Revision: record.Revision})
		}
	}
	return corrections
}
