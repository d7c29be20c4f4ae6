package environment

import (
	"bytes"
	"encoding/json"
	"time"
)

// Spec is the desired state of an environment, except for its cluster. A Revision holds it. Specs are immutable.
type Spec struct {
	TaskDefinition string      // ARN with revision
	Attributes     []Attribute `json:",omitempty"` // all of which an instance must have
	Query          string      `json:",omitempty"` // selects instances, in the cluster query language; empty: all

	DeploymentConfiguration DeploymentConfiguration `json:",omitzero"`
	TaskSettings            TaskSettings            `json:",omitzero"`

	// ReadinessAttribute is the custom attribute that instances have while the tasks of all environments that name it
	// run there; empty: none.
	ReadinessAttribute  string `json:",omitempty"`
	DrainOrder          int    `json:",omitempty"` // on a DRAINING instance, lower numbers stop first
	ScaleInAfterMinutes int    `json:",omitempty"` // until an instance with daemons only is released; 0: never
}

// Attribute is an attribute of a container instance; an empty Value matches any value.
type Attribute struct {
	Name  string
	Value string `json:",omitempty"`
}

// DeploymentConfiguration configures rollouts, as users gave it. The methods apply the defaults.
type DeploymentConfiguration struct {
	MinimumHealthyPercent *int           `json:",omitempty"`
	MaximumPercent        *int           `json:",omitempty"`
	CircuitBreaker        CircuitBreaker `json:",omitzero"`
	BakeTimeInMinutes     int            `json:",omitempty"`
	// ProgressDeadlineMinutes is how long a new task may take to become RUNNING; 0: for ever.
	ProgressDeadlineMinutes int     `json:",omitempty"`
	Canary                  *Canary `json:",omitempty"`
}

// CircuitBreaker configures when a deployment fails.
type CircuitBreaker struct {
	Enable    bool `json:",omitempty"`
	Rollback  bool `json:",omitempty"` // roll back; otherwise pause the environment
	Threshold int  `json:",omitempty"` // failed starts and tasks; 0: ECS's rule
}

// Canary selects the instances that are deployed first; the others wait until the deployment is promoted. Exactly one
// of the fields is set.
type Canary struct {
	Percent int    `json:",omitempty"`
	Query   string `json:",omitempty"`
}

// The defaults, and the limits of ECS's own circuit breaker.
const (
	defaultMinimumHealthy = 90
	defaultMaximum        = 100
	minFailureThreshold   = 3
	maxFailureThreshold   = 200
)

// MinimumHealthy is the percentage of the instances that keep a running task during a rollout.
func (c DeploymentConfiguration) MinimumHealthy() int {
	if c.MinimumHealthyPercent == nil {
		return defaultMinimumHealthy
	}
	return *c.MinimumHealthyPercent
}

// Maximum is the number of live tasks during a rollout, in percent of the instances: above 100, some instances have
// the old and the new task.
func (c DeploymentConfiguration) Maximum() int {
	if c.MaximumPercent == nil {
		return defaultMaximum
	}
	return *c.MaximumPercent
}

// MaxUnavailable is how many of desired instances may be without a running task at a time. It is at least one,
// because the rollout could not proceed otherwise.
func (c DeploymentConfiguration) MaxUnavailable(desired int) int {
	return max(1, desired-(desired*c.MinimumHealthy()+99)/100)
}

// MaxSurge is how many of desired instances may have the old and the new task at a time; 0: stop the old one first.
func (c DeploymentConfiguration) MaxSurge(desired int) int {
	if c.Maximum() <= defaultMaximum {
		return 0
	}
	return max(1, desired*(c.Maximum()-100)/100)
}

// BakeTime is how long all tasks must run before the deployment is completed.
func (c DeploymentConfiguration) BakeTime() time.Duration {
	return time.Duration(c.BakeTimeInMinutes) * time.Minute
}

// ProgressDeadline is how long a new task may take to become RUNNING before it counts as failed; zero: for ever.
func (c DeploymentConfiguration) ProgressDeadline() time.Duration {
	return time.Duration(c.ProgressDeadlineMinutes) * time.Minute
}

// FailureThreshold is the number of failed starts and tasks, on desired instances, at which a deployment fails. It
// applies only if Enable is set.
func (b CircuitBreaker) FailureThreshold(desired int) int {
	if b.Threshold > 0 {
		return b.Threshold
	}
	return min(max((desired+1)/2, minFailureThreshold), maxFailureThreshold)
}

// Size is the number of instances, of desired ones, that a canary in percent runs on: at least one.
func (c Canary) Size(desired int) int { return min(desired, max(1, desired*c.Percent/100)) }

// Equal reports whether both specs have the same fields in JSON.
func (s Spec) Equal(other Spec) bool {
	one, err := json.Marshal(s)
	if err != nil {
		return false
	}
	two, err := json.Marshal(other)
	return err == nil && bytes.Equal(one, two)
}
