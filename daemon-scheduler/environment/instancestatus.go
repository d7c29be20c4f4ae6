package environment

import "time"

// InstancePhase is the state of an environment on one container instance, in one word.
type InstancePhase string

// The phases.
const (
	InstanceRunning  InstancePhase = "running"  // its task is running
	InstancePending  InstancePhase = "pending"  // its task is starting
	InstanceOutdated InstancePhase = "outdated" // it has a task of another deployment
	InstanceMissing  InstancePhase = "missing"  // it has no task yet
	InstanceFailed   InstancePhase = "failed"   // its task failed
	InstanceExcluded InstancePhase = "excluded" // it should have no task
)

// InstanceStatus is the status of an environment on one container instance.
type InstanceStatus struct {
	Instance      Instance
	Phase         InstancePhase
	Reason        string // of the phase, or of the next action; may be empty
	Task          string // ARN; empty without one
	TaskStatus    string
	Health        HealthStatus // of the task, if it has health checks
	Deployment    string       // the task's
	Attempts      int          // to start the task, in a row
	NextAttemptAt time.Time
}

// Counts are numbers of container instances.
type Counts struct {
	Desired  int // that should have a task
	Running  int // with a RUNNING task of the current deployment
	Pending  int // with another live task of the current deployment
	Outdated int // with a live task of another deployment
	Failed   int // without an available task because of a failure on the instance
	// Available instances have a task of any deployment that is RUNNING, HEALTHY if it has health checks, and ready.
	Available    int
	Unreachable  int // ACTIVE ones whose agent is disconnected
	Misscheduled int // outside the instance group, with a live task
}

// Updated is the number of instances with a task of the current deployment.
func (c Counts) Updated() int { return c.Running + c.Pending }

// Step is one step of a dry run.
type Step struct {
	// Batch is the number of the batch, from 1. A batch starts when the tasks of the earlier batches have started and
	// stopped.
	Batch    int
	Action   string // start, stop or wait
	Instance string // ARN
	Task     string // ARN, of stop
	Reason   string
}
