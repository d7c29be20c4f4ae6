package reconcile

import (
	"time"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

// removalAge is how long the record of a live entity must not have changed before Diff removes it: ECS's List and
// Describe calls are eventually consistent. Source: "API eventual consistency" in the Amazon ECS API Reference.
const removalAge = 5 * time.Minute

// entity is what Diff needs of a task or container instance.
type entity interface {
	LastChanged() time.Time
	EndedAt() (at time.Time, ended bool)
}

// removal decides which records of entities that ECS does not know any more are removed.
type removal struct {
	now       time.Time
	retention time.Duration // of stopped tasks: ECS forgets them after about an hour
}

// allows reports whether a record may be removed.
func allows[T entity](r removal, record T) bool {
	if at, ended := record.EndedAt(); ended {
		return r.now.Sub(at) >= r.retention
	}
	return r.now.Sub(record.LastChanged()) > removalAge
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
//
// sameVersion are the corrections of records that have ECS's version. ECS changes some fields without a new version,
// and the cache does not hold them all, so only the store can decide which of the corrections apply.
func Diff[T any, S entity](
	stored cache.Index[S], present []described[T], missing []state.Key, remove removal,
) (corrections, sameVersion []state.Correction) {
	for _, d := range present {
		record := stored.Get(d.key.String())
		switch {
		case record == nil:
			if !d.inactive {
				corrections = append(corrections, state.Correction{Key: d.key, Value: d.value})
			}
		case d.inactive && allows(remove, record.Entity):
			corrections = append(corrections, state.Correction{Key: d.key, Revision: record.Revision})
		case d.version > record.Version:
			corrections = append(corrections, state.Correction{Key: d.key, Value: d.value, Revision: record.Revision})
		case d.version == record.Version:
			sameVersion = append(sameVersion, state.Correction{Key: d.key, Value: d.value, Revision: record.Revision})
		}
	}
	for _, key := range missing {
		record := stored.Get(key.String())
		if record != nil && allows(remove, record.Entity) {
			corrections = append(corrections, state.Correction{Key: key, Revision: record.Revision})
		}
	}
	return corrections, sameVersion
}
