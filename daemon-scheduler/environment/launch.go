package environment

import "time"

// LaunchState is what is known of a launch.
type LaunchState string

// A launch is open from before StartTask is called until its outcome is known.
const (
	LaunchOpen    LaunchState = "open"
	LaunchStarted LaunchState = "started"
	LaunchFailed  LaunchState = "failed"
)

// LaunchWindow is how long after its record is written a launch may still call StartTask.
const LaunchWindow = 10 * time.Second

// Launch is the latest try to start an environment's task on one container instance, and so the reason why no other
// one is made. Its JSON is the record at ecs/launch/<environment>/<instance ARN>.
type Launch struct {
	Instance string `json:"-"` // ARN; in the key

	Deployment     string // id, the task's startedBy
	TaskDefinition string // ARN with revision
	State          LaunchState
	NotAfter       time.Time // StartTask may be called until then
	Task           string    // ARN, once it is known
	Attempts       int       // tries in a row of this deployment on this instance, this one included; from 1
	// NextAttemptAt is the earliest time of the next try after a failure; of a started task that the copy of the cluster does
	// not show, when ECS is asked about it.
	NextAttemptAt time.Time
	Reason        string // why the instance counts as failed: ECS's word or "STOPPED"; empty when it does not
	Detail        string // the same in a sentence
	// HadNoTask tells that the instance had no running task of the environment before this deployment: its failures are not
	// the deployment's.
	HadNoTask        bool      `json:",omitempty"`
	DaemonsOnlySince time.Time `json:",omitzero"` // since when only daemons are on the instance, where that matters
	ReleasedAt       time.Time `json:",omitzero"` // when the instance was given up, as that was long

	StoredVersion int64 `json:"-"` // etcd's mod revision of the record as read; 0: not stored
	unknown       unknownFields
}
