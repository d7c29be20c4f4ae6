package environment

import "time"

// LaunchState is the state of a launch.
type LaunchState string

// A launch is open from before StartTask is called until the outcome is known. Before that it may be replacing: its
// Task is the task that StopTask stops to make room.
const (
	LaunchReplacing LaunchState = "replacing"
	LaunchOpen      LaunchState = "open"
	LaunchStarted   LaunchState = "started"
	LaunchFailed    LaunchState = "failed"
)

// LaunchWindow is how long after its record is written a launch may call StartTask.
const LaunchWindow = 10 * time.Second

// Launch is the latest attempt to start an environment's task on one container instance. While it is open, no other
// attempt is made. Its JSON is the launch record.
type Launch struct {
	Instance string `json:"-"` // ARN; part of the record's key

	Deployment     string // id; the task's startedBy
	TaskDefinition string // ARN with revision
	State          LaunchState
	NotAfter       time.Time // StartTask may be called until then
	Task           string    // ARN, once known; of a replacing launch, the task to stop
	Attempts       int       // of this deployment on this instance in a row, including this one; from 1
	// Failures is how many of these attempts have failed: StartTask failed for the instance, or the task stopped by
	// itself.
	Failures int `json:",omitempty"`
	// TaskFailures is how many of these are tasks that stopped.
	TaskFailures int `json:",omitempty"`
	// NextAttemptAt is the earliest time of the next attempt after a failure. For a started task that is missing from
	// the cluster state, it is when ECS is queried for it.
	NextAttemptAt time.Time
	Reason        string // why the instance counts as failed: ECS's failure reason or "STOPPED"; empty if it does not
	Detail        string // the reason as a sentence
	// HadNoTask reports that the instance had no running task of the environment before this deployment. Failures on
	// such an instance do not count against the deployment.
	HadNoTask bool `json:",omitempty"`
	// Rollout is the id of the deployment that was current when the launch was made, if that is another one: outside a
	// canary, instances keep the previous deployment.
	Rollout string `json:",omitempty"`
	// Refused reports that ECS refused the start because of the deployment, and so would on any instance.
	Refused          bool      `json:",omitempty"`
	DaemonsOnlySince time.Time `json:",omitzero"` // since when only daemons run on the instance
	ReleasedAt       time.Time `json:",omitzero"` // when the instance was released for scale-in
	Settled          Settled   `json:",omitzero"`

	StoredVersion int64 `json:"-"` // increases with each write of the record; 0: not stored
	unknown       unknownFields
}

// Settled names the deployment that was finished on an instance, and the RUNNING task that showed it.
type Settled struct {
	Deployment string // id
	Task       string // ARN
}
