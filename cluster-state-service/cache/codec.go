package cache

import (
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/blox/blox/cluster-state-service/state"
)

// Codec decodes and encodes the records of one kind. The cache itself knows no JSON. It keeps S of an entity T.
type Codec[T, S any] struct {
	Decode  func(value []byte) (T, error)
	Version func(T) int64
	// Summarize returns the part of an entity that the cache keeps decoded, given its key: what filters and
	// reconciliations read.
	Summarize func(entity *T, key string) S
	// Encode returns the entity as clients see it.
	Encode func(entity T, revision int64) []byte
	// EncodeDeleted returns the stream line for an entity that was deleted at the revision.
	EncodeDeleted func(key state.Key, revision int64) []byte
}

// decode returns a stored entity and its line in lists and streams.
func (c Codec[T, S]) decode(kv *mvccpb.KeyValue) (entity T, line []byte, err error) {
	if entity, err = c.Decode(kv.Value); err != nil {
		return entity, nil, err
	}
	return entity, append(c.Encode(entity, kv.ModRevision), '\n'), nil
}

// change returns the change of a stored entity. previous is the value before it; nil if it is not known.
func (c Codec[T, S]) change(kv, previous *mvccpb.KeyValue) (Change, error) {
	entity, line, err := c.decode(kv)
	if err != nil {
		return Change{}, err
	}
	summary := c.Summarize(&entity, string(kv.Key))
	change := Change{Line: line, Entity: &summary}
	if previous != nil {
		change.Previous = c.entity(previous)
	}
	return change, nil
}

// entity returns a stored entity as Change.Previous; nil if it is malformed.
func (c Codec[T, S]) entity(kv *mvccpb.KeyValue) any {
	entity, err := c.Decode(kv.Value)
	if err != nil {
		return nil
	}
	summary := c.Summarize(&entity, string(kv.Key))
	return &summary
}

// putInto decodes a stored entity into index and returns its change. If the value is malformed, the key leaves the
// index.
func (c Codec[T, S]) putInto(index Index[S], kv *mvccpb.KeyValue) (Change, error) {
	key := string(kv.Key)
	entity, line, err := c.decode(kv)
	if err != nil {
		index.Delete(key)
		return Change{}, err
	}
	entry := &Entry[S]{
		Key: key, Entity: c.Summarize(&entity, key), Version: c.Version(entity), Revision: kv.ModRevision,
		Line: line, // one copy serves lists and streams
	}
	return Change{Line: line, Entity: &entry.Entity, Previous: entityOf(index.Put(entry))}, nil
}

// entityOf returns the entity of an entry as Change.Previous.
func entityOf[T any](e *Entry[T]) any {
	if e == nil {
		return nil
	}
	return &e.Entity
}
