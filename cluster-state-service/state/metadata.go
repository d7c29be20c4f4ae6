package state

import "time"

// Prefixes of the keys in etcd that describe the service itself rather than an entity.
const (
	// ReconcilePrefix is followed by <account>/<region>; the value is a Reconciliation.
	ReconcilePrefix = Root + "reconciled/"
	// LockPrefix is the election prefix of the replica that reconciles with ECS.
	LockPrefix = Root + "lock/reconcile/"
)

// Reconciliation records when the last complete reconciliation of an account and region started and ended.
type Reconciliation struct {
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
}
