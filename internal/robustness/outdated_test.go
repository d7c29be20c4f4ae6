package robustness

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/ecssim"
)

func TestKnows_CountsNoInactiveInstance(t *testing.T) {
	state := ecssim.State{
		Tasks:     []ecssim.Task{{ARN: "task"}},
		Instances: []ecssim.Instance{{ARN: "active", Status: "ACTIVE"}, {ARN: "inactive", Status: "INACTIVE"}},
	}
	for arn, want := range map[string]bool{"task": true, "active": true, "inactive": false, "other": false} {
		assert.Equal(t, want, knows(state, arn), arn)
	}
}
