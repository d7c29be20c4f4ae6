package environment

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDeploymentConfiguration_Defaults(t *testing.T) {
	zero, full, double := 0, 100, 200
	for name, tc := range map[string]struct {
		c                                 DeploymentConfiguration
		desired, maxUnavailable, maxSurge int
	}{
		"default, a tenth":               {DeploymentConfiguration{}, 200, 20, 0},
		"rounds down":                    {DeploymentConfiguration{}, 19, 1, 0},
		"at least one instance":          {DeploymentConfiguration{MinimumHealthyPercent: &full}, 5, 1, 0},
		"all at once":                    {DeploymentConfiguration{MinimumHealthyPercent: &zero}, 5, 5, 0},
		"start before stop, all at once": {DeploymentConfiguration{MaximumPercent: &double}, 5, 1, 5},
		"no desired instances":           {DeploymentConfiguration{}, 0, 1, 0},
		"numbers":                        {DeploymentConfiguration{MaxUnavailableCount: 3, MaxSurgeCount: &full}, 7, 3, 100},
		"numbers, stop before start":     {DeploymentConfiguration{MaxUnavailableCount: 3, MaxSurgeCount: &zero}, 7, 3, 0},
	} {
		assert.Equal(t, tc.maxUnavailable, tc.c.MaxUnavailable(tc.desired), name)
		assert.Equal(t, tc.maxSurge, tc.c.MaxSurge(tc.desired), name)
	}
	for desired, want := range map[int]int{0: 3, 5: 3, 7: 4, 50: 25, 5000: 200} {
		assert.Equal(t, want, CircuitBreaker{}.FailureThreshold(desired))
	}
	assert.Equal(t, 7, CircuitBreaker{Threshold: 7}.FailureThreshold(1))
	for want, threshold := range map[int]FailureThreshold{
		2:   {ThresholdCount, 2},
		3:   {ThresholdBoundedPercent, 1},
		25:  {ThresholdBoundedPercent, 10},
		200: {ThresholdBoundedPercent, 90},
		1:   {ThresholdUnboundedPercent, 0},
		225: {ThresholdUnboundedPercent, 90},
	} {
		assert.Equal(t, want, CircuitBreaker{ThresholdConfiguration: &threshold}.FailureThreshold(250), threshold)
	}
	assert.Equal(t, 1, CanaryStep{Percent: 1}.Size(5))
	assert.Equal(t, 0, CanaryStep{Percent: 50}.Size(0))
	assert.Equal(t, 5, CanaryStep{Percent: 10}.Size(50))
}
