package environment

import "time"

// Spec is what an environment wants, but for its cluster: what a revision keeps. It is a value that nobody changes in place.
type Spec struct {
	TaskDefinition string      // ARN with revision
	Attributes     []Attribute `json:",omitempty"` // that an instance must have, all of them
	Query          string      `json:",omitempty"` // which instances, in the cluster query language; all when empty

	DeploymentConfiguration DeploymentConfiguration `json:",omitzero"`
	TaskSettings            TaskSettings            `json:",omitzero"`

	// ReadinessAttribute is the custom attribute that instances have while the tasks of all environments that name it run
	// there; none when empty.
	ReadinessAttribute  string `json:",omitempty"`
	DrainOrder          int    `json:",omitempty"` // on a DRAINING instance, lower numbers stop first
	ScaleInAfterMinutes int    `json:",omitempty"` // of an instance with nothing but daemons, until it may be given up; 0: never
}

// Attribute is one of a container instance: name and value, or a name that any value will do for.
type Attribute struct {
	Name  string
	Value string `json:",omitempty"`
}

// DeploymentConfiguration is how a new revision takes the place of an old one, as it was given: the methods know the
// defaults.
type DeploymentConfiguration struct {
	MinimumHealthyPercent *int           `json:",omitempty"`
	MaximumPercent        *int           `json:",omitempty"`
	CircuitBreaker        CircuitBreaker `json:",omitzero"`
	BakeTimeInMinutes     int            `json:",omitempty"`
	Canary                *Canary        `json:",omitempty"`
}

// CircuitBreaker is when a deployment that does not come up is given up.
type CircuitBreaker struct {
	Enable    bool `json:",omitempty"`
	Rollback  bool `json:",omitempty"` // else the environment is paused as it is
	Threshold int  `json:",omitempty"` // failed starts and tasks; 0: as ECS does
}

// Canary is which instances come first; the others wait until the deployment is promoted. One of the two is given.
type Canary struct {
	Percent int    `json:",omitempty"`
	Query   string `json:",omitempty"`
}

// The defaults. The first two are those of the design, the others ECS's own for its circuit breaker.
const (
	defaultMinimumHealthy = 90
	defaultMaximum        = 100
	minFailureThreshold   = 3
	maxFailureThreshold   = 200
)

// MinimumHealthy is the percentage of the instances that keep a running task while the old ones are replaced.
func (c DeploymentConfiguration) MinimumHealthy() int {
	if c.MinimumHealthyPercent == nil {
		return defaultMinimumHealthy
	}
	return *c.MinimumHealthyPercent
}

// Maximum is the percentage of the instances that may have a live task meanwhile: above 100 some have two, the old and the
// new one.
func (c DeploymentConfiguration) Maximum() int {
	if c.MaximumPercent == nil {
		return defaultMaximum
	}
	return *c.MaximumPercent
}

// MaxUnavailable is how many of desired instances may be without a running task at a time: at least one, or nothing would move.
func (c DeploymentConfiguration) MaxUnavailable(desired int) int {
	return max(1, desired-(desired*c.MinimumHealthy()+99)/100)
}

// MaxSurge is how many of desired instances may have the old and the new task at a time; 0: stop first.
func (c DeploymentConfiguration) MaxSurge(desired int) int {
	if c.Maximum() <= defaultMaximum {
		return 0
	}
	return max(1, desired*(c.Maximum()-100)/100)
}

// BakeTime is how long all tasks have to run before the deployment is completed.
func (c DeploymentConfiguration) BakeTime() time.Duration {
	return time.Duration(c.BakeTimeInMinutes) * time.Minute
}

// FailureThreshold is how many starts and tasks may fail, on desired instances, before the deployment has failed; only where
// Enable is set.
func (b CircuitBreaker) FailureThreshold(desired int) int {
	if b.Threshold > 0 {
		return b.Threshold
	}
	return min(max((desired+1)/2, minFailureThreshold), maxFailureThreshold)
}

// Size is on how many of desired instances the canary runs when it is given in percent: at least one.
func (c Canary) Size(desired int) int { return min(desired, max(1, desired*c.Percent/100)) }

// TaskSettings are passed on to StartTask. The names are ECS's.
type TaskSettings struct {
	Network              *AwsVpcConfiguration `json:",omitempty"`
	Overrides            *TaskOverride        `json:",omitempty"`
	Tags                 []Tag                `json:",omitempty"`
	PropagateTags        string               `json:",omitempty"` // TASK_DEFINITION, NONE or empty
	EnableECSManagedTags bool                 `json:",omitempty"`
	EnableExecuteCommand bool                 `json:",omitempty"`
	Group                string               `json:",omitempty"`
}

// AwsVpcConfiguration is the network of tasks whose network mode is awsvpc.
type AwsVpcConfiguration struct {
	Subnets        []string
	SecurityGroups []string `json:",omitempty"`
	AssignPublicIP string   `json:",omitempty"` // DISABLED or empty
}

// TaskOverride is what is different from the task definition.
type TaskOverride struct {
	ContainerOverrides []ContainerOverride `json:",omitempty"`
	CPU                string              `json:",omitempty"`
	Memory             string              `json:",omitempty"`
	ExecutionRoleARN   string              `json:",omitempty"`
	TaskRoleARN        string              `json:",omitempty"`
}

// ContainerOverride is what is different in the named container.
type ContainerOverride struct {
	Name                 string
	Command              []string              `json:",omitempty"`
	Environment          []KeyValue            `json:",omitempty"`
	EnvironmentFiles     []EnvironmentFile     `json:",omitempty"`
	CPU                  *int32                `json:",omitempty"`
	Memory               *int32                `json:",omitempty"` // MiB
	MemoryReservation    *int32                `json:",omitempty"` // MiB
	ResourceRequirements []ResourceRequirement `json:",omitempty"`
}

// KeyValue is a variable of a container's environment.
type KeyValue struct {
	Name  string
	Value string `json:",omitempty"`
}

// EnvironmentFile is a file of variables.
type EnvironmentFile struct {
	Type  string // s3
	Value string // ARN
}

// ResourceRequirement is a resource of a container.
type ResourceRequirement struct {
	Type  string // GPU or InferenceAccelerator
	Value string
}

// Tag is one of a task.
type Tag struct {
	Key   string
	Value string `json:",omitempty"`
}
