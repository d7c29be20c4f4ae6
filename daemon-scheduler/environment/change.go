package environment

// Change is a change of an environment's record, or a heartbeat.
type Change struct {
	Environment Environment // after the change; of a deleted one, only Name and Cluster
	Deleted     bool
	Version     int64 // increases with every change in the store
	Heartbeat   bool  // nothing has changed
}

// InstanceChange is a change of a container instance, as far as it concerns daemons.
type InstanceChange struct {
	ClusterARN string // ending in /* for every cluster of an account and region
	Instance   string // ARN; empty if the change concerns the whole cluster
	Joined     bool   // it can be given tasks, and could not before
	Changed    bool   // it joined or left, or its status, ECS agent connection or attributes changed
	// Improved reports that a failed start may succeed now: the ECS agent has reconnected, resources were freed, or
	// attributes changed.
	Improved bool
}
