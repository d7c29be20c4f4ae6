package environment

// CircuitBreaker configures when a deployment fails.
type CircuitBreaker struct {
	Enable    bool `json:",omitempty"`
	Rollback  bool `json:",omitempty"` // roll back; otherwise pause the environment
	Threshold int  `json:",omitempty"` // failed starts and tasks; 0: see ThresholdConfiguration
	// ThresholdConfiguration is in ECS's words; nil: ECS's default. It is nil if Threshold is set.
	ThresholdConfiguration *FailureThreshold `json:",omitempty"`
	ResetOnHealthyTask     bool              `json:",omitempty"` // see Deployment.HealthyTasks
}

// FailureThreshold is the number of failures at which a deployment fails.
type FailureThreshold struct {
	Type  ThresholdType
	Value int // from 1
}

// ThresholdType is how the Value of a FailureThreshold counts, in ECS's words.
type ThresholdType string

// Value is a number of failures, or a percentage of the instances. With BoundedPercent, the number of failures stays
// within ECS's bounds.
const (
	ThresholdCount            ThresholdType = "COUNT"
	ThresholdBoundedPercent   ThresholdType = "BOUNDED_PERCENT"
	ThresholdUnboundedPercent ThresholdType = "UNBOUNDED_PERCENT"
)

// ECS's default and bounds.
const (
	defaultThresholdPercent = 50
	minFailureThreshold     = 3
	maxFailureThreshold     = 200
)

// FailureThreshold is the number of failed starts and tasks, on desired instances, at which a deployment fails. It
// applies only if Enable is set.
func (b CircuitBreaker) FailureThreshold(desired int) int {
	switch {
	case b.Threshold > 0:
		return b.Threshold
	case b.ThresholdConfiguration == nil:
		return FailureThreshold{ThresholdBoundedPercent, defaultThresholdPercent}.failures(desired)
	}
	return b.ThresholdConfiguration.failures(desired)
}

func (t FailureThreshold) failures(desired int) int {
	share := max(1, (desired*t.Value+99)/100)
	switch t.Type {
	case ThresholdCount:
		return t.Value
	case ThresholdUnboundedPercent:
		return share
	}
	return min(max(share, minFailureThreshold), maxFailureThreshold)
}
