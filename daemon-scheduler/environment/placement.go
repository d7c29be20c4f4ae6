package environment

import "time"

// PlacementState is what a container instance does for an environment, in a word.
type PlacementState string

// The words.
const (
	PlacedRunning  PlacementState = "running"  // it has its task
	PlacedPending  PlacementState = "pending"  // its task is to run soon
	PlacedOutdated PlacementState = "outdated" // it has a task of another deployment
	PlacedMissing  PlacementState = "missing"  // it has none yet
	PlacedFailed   PlacementState = "failed"   // it has none, for a reason of its own
	PlacedNowhere  PlacementState = "excluded" // it is to have none
)

// Placement is what one container instance does for an environment.
type Placement struct {
	Instance   Instance
	State      PlacementState
	Reason     string // why it is so, or what is being waited for; may be empty
	Task       string // ARN; empty without one
	TaskStatus string
	Deployment string // the task's
	Attempts   int    // tries in a row to start it
	NextTry    time.Time
}

// Step is one thing that would be done: start, stop or wait.
type Step struct {
	Wave     int // from 1; a later one waits for the tasks of those before
	Action   string
	Instance string // ARN
	Task     string // ARN, of stop
	Reason   string
}

// Change is one of an environment's record, or a sign of life.
type Change struct {
	Environment Environment // as it is now; of one that is gone, its Name and Cluster only
	Deleted     bool
	Revision    int64 // etcd's
	Heartbeat   bool  // nothing has changed
}
