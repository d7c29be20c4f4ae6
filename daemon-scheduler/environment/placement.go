package environment

import "time"

// InstancePhase is what a container instance does for an environment, in a word.
type InstancePhase string

// The words.
const (
	InstanceRunning  InstancePhase = "running"  // it has its task
	InstancePending  InstancePhase = "pending"  // its task is to run soon
	InstanceOutdated InstancePhase = "outdated" // it has a task of another deployment
	InstanceMissing  InstancePhase = "missing"  // it has none yet
	InstanceFailed   InstancePhase = "failed"   // it has none, for a reason of its own
	InstanceExcluded InstancePhase = "excluded" // it is to have none
)

// InstanceStatus is what one container instance does for an environment.
type InstanceStatus struct {
	Instance      Instance
	Phase         InstancePhase
	Reason        string // why it is so, or what is being waited for; may be empty
	Task          string // ARN; empty without one
	TaskStatus    string
	Deployment    string // the task's
	Attempts      int    // tries in a row to start it
	NextAttemptAt time.Time
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
	Version     int64 // etcd's
	Heartbeat   bool  // nothing has changed
}
