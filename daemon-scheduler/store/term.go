package store

import (
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Term is the time for which one replica leads. The election key guards everything that the leader writes.
type Term struct {
	Key      string // the election key in etcd
	Revision int64  // the key's create revision
	// Until returns the time until which the lease is valid, with readings of both clocks; renewals extend it. Nil: no
	// limit.
	Until func() time.Time
}

// Changes are the records of one transaction. It commits only if the writer leads and no record has changed since it
// was read.
type Changes struct {
	Name string // of the environment
	// Incarnation guards against an environment that has been deleted or created anew since. 0: it need not exist.
	Incarnation int64
	// IsDeleted guards against an environment that exists; Incarnation is 0 then.
	IsDeleted bool
	// Environment replaces the environment's record; nil leaves it.
	Environment *environment.Environment
	// Remove deletes the environment's record; nil leaves it.
	Remove *environment.Environment
	Put    []environment.Launch
	Delete []environment.Launch
}
