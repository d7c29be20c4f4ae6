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

// FencingToken proves that a replica holds a lock: the key that it holds and that key's create revision. A write
// guarded by the token fails once another replica holds the lock.
type FencingToken struct {
	Key      string
	Revision int64
}
