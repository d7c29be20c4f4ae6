package environment

import (
	"bytes"
	"encoding/json"
	"strings"
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

	UnhealthyPolicy UnhealthyPolicy `json:",omitempty"` // empty: UnhealthyReplace

	Role Role `json:",omitzero"` // see Environment.Role
}

// UnhealthyPolicy is what happens to tasks whose container health checks fail.
type UnhealthyPolicy string

// The policies.
const (
	UnhealthyReplace UnhealthyPolicy = "replace"
	UnhealthyKeep    UnhealthyPolicy = "keep"
)

// ReplacesUnhealthy reports whether UNHEALTHY tasks are replaced.
func (s Spec) ReplacesUnhealthy() bool { return s.UnhealthyPolicy != UnhealthyKeep }

// Attribute is an attribute of a container instance; an empty Value matches any value.
type Attribute struct {
	Name  string
	Value string `json:",omitempty"`
}

// DeploymentConfiguration configures rollouts, as users gave it. The methods apply the defaults.
type DeploymentConfiguration struct {
	MinimumHealthyPercent *int           `json:",omitempty"`
	MaximumPercent        *int           `json:",omitempty"`
	MaxUnavailableCount   int            `json:",omitempty"` // instances, instead of MinimumHealthyPercent; 0: not set
	MaxSurgeCount         *int           `json:",omitempty"` // instances, instead of MaximumPercent
	CircuitBreaker        CircuitBreaker `json:",omitzero"`
	Alarms                *Alarms        `json:",omitempty"`
	BakeTimeInMinutes     int            `json:",omitempty"`
	// ProgressDeadlineMinutes is how long a new task may take to become RUNNING; 0: for ever.
	ProgressDeadlineMinutes int     `json:",omitempty"`
	Canary                  *Canary `json:",omitempty"`
	// MinimumHealthySeconds is how long a new task must have been available before the rollout goes on.
	MinimumHealthySeconds int `json:",omitempty"`
	// SlowStart limits how many instances a first deployment begins on, see StartsSlowly.
	SlowStart *bool `json:",omitempty"`
	// SpreadBy is "attribute:<name>": a rollout finishes the instances with one value before it continues with the next.
	SpreadBy string `json:",omitempty"`
}

// Canary selects the instances that are deployed first; the others wait until the deployment is promoted. Exactly one
// of the fields is set.
type Canary struct {
	Percent int          `json:",omitempty"`
	Query   string       `json:",omitempty"`
	Steps   []CanaryStep `json:",omitempty"` // each covers the instances of the one before
}

const (
	defaultMinimumHealthy = 90
	defaultMaximum        = 100
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
	if c.MaxUnavailableCount > 0 {
		return c.MaxUnavailableCount
	}
	return max(1, desired-(desired*c.MinimumHealthy()+99)/100)
}

// MaxSurge is how many of desired instances may have the old and the new task at a time; 0: stop the old one first.
func (c DeploymentConfiguration) MaxSurge(desired int) int {
	switch {
	case c.MaxSurgeCount != nil:
		return *c.MaxSurgeCount
	case c.Maximum() <= defaultMaximum:
		return 0
	}
	return max(1, desired*(c.Maximum()-100)/100)
}

// StartsSlowly reports whether the environment's first deployment begins in batches that double in size.
func (c DeploymentConfiguration) StartsSlowly() bool { return c.SlowStart == nil || *c.SlowStart }

// spreadPrefix begins SpreadBy, as ECS writes the field of a placement strategy.
const spreadPrefix = "attribute:"

// SpreadAttribute returns the name of the attribute whose values are the waves of a rollout; empty without waves.
func (c DeploymentConfiguration) SpreadAttribute() string {
	return strings.TrimPrefix(c.SpreadBy, spreadPrefix)
}

// BakeTime is how long all tasks must run before the deployment is completed.
func (c DeploymentConfiguration) BakeTime() time.Duration {
	return time.Duration(c.BakeTimeInMinutes) * time.Minute
}

// MinimumHealthyTime is how long a new task must have been available before the rollout goes on.
func (c DeploymentConfiguration) MinimumHealthyTime() time.Duration {
	return time.Duration(c.MinimumHealthySeconds) * time.Second
}

// ProgressDeadline is how long a new task may take to become RUNNING before it counts as failed; zero: for ever.
func (c DeploymentConfiguration) ProgressDeadline() time.Duration {
	return time.Duration(c.ProgressDeadlineMinutes) * time.Minute
}

// Equal reports whether both specs have the same fields in JSON.
func (s Spec) Equal(other Spec) bool {
	one, err := json.Marshal(s)
	if err != nil {
		return false
	}
	two, err := json.Marshal(other)
	return err == nil && bytes.Equal(one, two)
}
