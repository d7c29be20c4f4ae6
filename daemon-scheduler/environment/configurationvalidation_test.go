package environment

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDeploymentConfiguration_RefusesContradictions(t *testing.T) {
	five, zero, double := FailureThreshold{ThresholdCount, 5}, 0, 200
	for name, tc := range map[string]struct {
		c    DeploymentConfiguration
		want string
	}{
		"none": {},
		"a threshold in ECS's form": {
			c: DeploymentConfiguration{CircuitBreaker: CircuitBreaker{ThresholdConfiguration: &five}},
		},
		"two thresholds": {
			DeploymentConfiguration{CircuitBreaker: CircuitBreaker{Threshold: 5, ThresholdConfiguration: &five}},
			"deploymentConfiguration.deploymentCircuitBreaker in body should have either threshold or thresholdConfiguration",
		},
		"numbers": {c: DeploymentConfiguration{MaxUnavailableCount: 2, MaxSurgeCount: &zero}},
		"both minimums": {
			DeploymentConfiguration{MaxUnavailableCount: 2, MinimumHealthyPercent: &zero},
			"deploymentConfiguration.maxUnavailable in body should not be given with minimumHealthyPercent",
		},
		"both maximums": {
			DeploymentConfiguration{MaxSurgeCount: &zero, MaximumPercent: &double},
			"deploymentConfiguration.maxSurge in body should not be given with maximumPercent\n" +
				"deploymentConfiguration.maximumPercent in body should be 100, " +
				"as tasks with static host ports cannot run side by side",
		},
		"start before stop with a number, static ports": {
			DeploymentConfiguration{MaxSurgeCount: &double},
			"deploymentConfiguration.maxSurge in body should be 0, " +
				"as tasks with static host ports cannot run side by side",
		},
	} {
		problems := Spec{DeploymentConfiguration: tc.c}.Validate(&TaskDefinition{StaticPorts: true})
		assert.Equal(t, tc.want, strings.Join(problems, "\n"), name)
	}
}
