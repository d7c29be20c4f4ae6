package environment

// InstanceChange says what the change of a container instance means to daemons.
type InstanceChange struct {
	ClusterARN string
	Instance   string // ARN
	Joined     bool   // it can be given tasks, and could not before
	Changed    bool   // it came, left, or has another status, agent connection or attributes
	Improved   bool   // a start that failed on it may succeed now: its agent has returned, more is free, its attributes differ
}
