package state

import "errors"

// ErrLockLost means that another replica compares with ECS now.
var ErrLockLost = errors.New("the reconcile lock is lost")

// Correction is one difference between ECS and the store.
type Correction struct {
	Key Key
	// Value replaces what is stored; nil removes it.
	Value []byte
	// Revision is the mod revision that the correction was decided on; 0: nothing was stored.
	Revision int64
}

// IsRemoval tells whether the correction takes the record away.
func (c Correction) IsRemoval() bool { return c.Value == nil }

// FencingToken is a replica's claim to the reconcile lock: the key that it holds and that key's create revision.
type FencingToken struct {
	Key      string
	Revision int64
}
