package cache

import "github.com/blox/blox/cluster-state-service/state"

// Codec is what the view must be told about a kind of entity; it knows no JSON itself.
type Codec[T any] struct {
	Decode  func(value []byte) (T, error)
	Version func(T) int64
	// Encode is what clients see of an entity.
	Encode func(entity T, revision int64) []byte
	// EncodeDeleted says that the entity under the key was deleted at the revision.
	EncodeDeleted func(key state.Key, revision int64) []byte
}

// entry is what etcd has under a key, and its line in a stream; an error means that it cannot be read.
func (c Codec[T]) entry(key string, value []byte, revision int64) (*state.Entry[T], []byte, error) {
	entity, err := c.Decode(value)
	if err != nil {
		return nil, nil, err
	}
	line := append(c.Encode(entity, revision), '\n')
	return &state.Entry[T]{
		Key: key, Entity: entity, Version: c.Version(entity), Revision: revision,
		Line: line, // one copy serves lists and streams
	}, line, nil
}
