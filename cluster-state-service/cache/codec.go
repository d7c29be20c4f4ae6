package cache

import (
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/blox/blox/cluster-state-service/state"
)

// Codec decodes and encodes the records of one kind. The cache itself knows no JSON.
type Codec[T any] struct {
	Decode  func(value []byte) (T, error)
	Version func(T) int64
	// Encode returns the entity as clients see it.
	Encode func(entity T, revision int64) []byte
	// EncodeDeleted returns the stream line for an entity that was deleted at the revision.
	EncodeDeleted func(key state.Key, revision int64) []byte
}

// decode returns a stored entity and its line in lists and streams.
func (c Codec[T]) decode(kv *mvccpb.KeyValue) (entity T, line []byte, err error) {
	if entity, err = c.Decode(kv.Value); err != nil {
		return entity, nil, err
	}
	return entity, append(c.Encode(entity, kv.ModRevision), '\n'), nil
}

// line returns the stream line of a stored entity.
func (c Codec[T]) line(kv *mvccpb.KeyValue) ([]byte, error) {
	_, line, err := c.decode(kv)
	return line, err
}

// putInto decodes a stored entity into index and returns its line. If the value is malformed, the key leaves the index.
func (c Codec[T]) putInto(index Index[T], kv *mvccpb.KeyValue) ([]byte, error) {
	key := string(kv.Key)
	entity, line, err := c.decode(kv)
	if err != nil {
		index.Delete(key)
		return nil, err
	}
	index.Put(&Entry[T]{
		Key: key, Entity: entity, Version: c.Version(entity), Revision: kv.ModRevision,
		Line: line, // one copy serves lists and streams
	})
	return line, nil
}
