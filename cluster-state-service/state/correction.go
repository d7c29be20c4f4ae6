package state

import "errors"

// ErrLockLost reports that another replica holds the reconciliation lock.
var ErrLockLost = errors.New("reconciliation lock lost")

// Correction is the change of a stored record that makes it equal to ECS.
type Correction struct {
	Key Key
	// Value replaces the stored value; nil removes the record.
	Value []byte
	// Revision is the mod revision of the stored value that the correction replaces; 0 if nothing was stored.
	Revision int64
}

// IsRemoval reports whether the correction removes the record.
func (c Correction) IsRemoval() bool { return c.Value == nil }

// Supersedes reports whether the correction's value is to replace a stored one: the stored one is malformed, has a
// lower version, or has the same version and different fields. ECS changes some fields without a new version,
// attributes for example; its response is then at least as recent as an event of that version.
func (c Correction) Supersedes(stored []byte) bool {
	switch c.Key.Kind {
	case KindInstance:
		return supersedes(c.Value, stored, DecodeInstance, func(i Instance) int64 { return i.Version })
	case KindTask:
		return supersedes(c.Value, stored, DecodeTask, func(t Task) int64 { return t.Version })
	}
	return false
}

func supersedes[T interface{ Equivalent(T) bool }](
	value, stored []byte, decode func([]byte) (T, error), version func(T) int64,
) bool {
	older, err := decode(stored)
	if err != nil {
		return true
	}
	newer, err := decode(value)
	if err != nil {
		return false
	}
	return version(newer) > version(older) || version(newer) == version(older) && !newer.Equivalent(older)
}

// FencingToken proves that a replica holds a lock: the key that it holds and that key's create revision. A write
// guarded by the token fails once another replica holds the lock.
type FencingToken struct {
	Key      string
	Revision int64
}
