package state

import (
	"time"

	"github.com/blox/blox/internal/arn"
)

// Prefixes of the keys in etcd that describe the service itself rather than an entity.
const (
	// ReconcilePrefix is followed by <account>/<region> or <account>/<region>/<cluster>; the value is a Reconciliation.
	ReconcilePrefix = Root + "reconciled/"
	// TombstonePrefix is the prefix of the keys of removed entities.
	TombstonePrefix = Root + "deleted/"
	// LockPrefix is followed by <account>/<region>/ and begins the keys of the election of the replica that reconciles
	// that account and region.
	LockPrefix = Root + "lock/reconcile/"
	// MaintenanceLock is the election of the replica that does what concerns all accounts and regions.
	MaintenanceLock = Root + "lock/maintenance"
)

// Region is a region of an AWS account.
type Region struct {
	Account string // empty if unknown
	Name    string
}

// RegionOf returns the account and region of an ARN.
func RegionOf(a arn.ARN) Region { return Region{Account: a.Account, Name: a.Region} }

// String returns <account>/<region>, as keys in etcd have it.
func (r Region) String() string { return r.Account + "/" + r.Name }

// Source is an account and region that this service reconciles.
type Source struct {
	Region
	Label string // identifies it in reasons
	// Awaited is whether lists wait for the first reconciliation. They do not wait for a source that was added while the
	// service runs, since clients that do not know it must not notice.
	Awaited bool
	// Assumed is whether no call of AWS has shown the account yet, so that it may be another one.
	Assumed bool
}

// AllClusters stands for every cluster of an account and region, in place of a cluster's name in its ARN.
const AllClusters = "*"

// Lock returns the election of the replica that reconciles the region.
func (r Region) Lock() string { return LockPrefix + r.String() }

// ReconciledKey returns the key of the region's Reconciliation.
func (r Region) ReconciledKey() string { return ReconcilePrefix + r.String() }

// Reconciliation records when the last complete reconciliation started and ended: of a cluster or, with AllClusters, of
// an account and region.
type Reconciliation struct {
	Cluster    string    `json:"cluster,omitempty"` // ARN; earlier builds left it out for an account and region
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"` // zero if there was none
	// Error is that of the attempt after it; empty if that succeeded. For an account and region it is that of several
	// attempts in a row.
	Error string `json:"error,omitempty"`
}

// ReconciledKey returns the key of a cluster's Reconciliation.
func ReconciledKey(cluster arn.ARN) string {
	return RegionOf(cluster).ReconciledKey() + "/" + cluster.Cluster
}

// ClusterNotReconciledError reports that a cluster, or every cluster of an account and region, was never reconciled. It
// matches ErrClusterNotReconciled. Clients receive its text.
type ClusterNotReconciledError struct{ Reconciliation }

func (e *ClusterNotReconciledError) Error() string {
	text := "Not yet reconciled with ECS: " + e.Cluster
	if e.Reconciliation.Error != "" {
		text += ": " + e.Reconciliation.Error
	}
	return text
}

// Is reports whether target is ErrClusterNotReconciled.
func (e *ClusterNotReconciledError) Is(target error) bool { return target == ErrClusterNotReconciled }

// IngestProgress is how far a replica has read the queue or stream. Its times are zero before the first receive and the
// first event.
type IngestProgress struct {
	ReceivedAt    time.Time // last successful receive, with or without events
	NewestEventAt time.Time // newest event that was recorded
}

// QueueProblem is why the events of a source are not received; Text is empty if they are.
type QueueProblem struct{ Source, Text string }
