package planner

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestCanary_WaitsForPromotion(t *testing.T) {
	for name, tc := range map[string]struct {
		canary environment.Canary
		want   int
	}{
		"in percent": {environment.Canary{Percent: 10}, 4},
		"by a query": {environment.Canary{Query: "attribute:zone == b"}, 13},
	} {
		t.Run(name, func(t *testing.T) {
			spec := environment.Spec{}
			spec.DeploymentConfiguration.Canary = &tc.canary
			f := newFleet(t, 5, 40, spec)
			for range 200 {
				f.step()
				_, _, of := f.running()
				require.LessOrEqual(t, of[current], tc.want)
			}
			_, _, of := f.running()
			assert.Equal(t, map[string]int{current: tc.want, earlier: 40 - tc.want}, of)
			assert.Equal(t, environment.Running, f.state.Environment.Deployments[current].Status)

			// An instance that joins meanwhile, and one whose task dies, get the previous deployment.
			f.state.Instances = append(f.state.Instances, environment.Instance{ARN: "j", Status: "ACTIVE", AgentConnected: true})
			for arn, task := range f.tasks {
				if task.Live() && task.Instance == "i039" {
					f.die(arn)
				}
			}
			for range 100 {
				f.step()
			}
			_, _, of = f.running()
			assert.Equal(t, map[string]int{current: tc.want, earlier: 41 - tc.want}, of)

			promoted, err := f.state.Environment.Promote(current)
			require.NoError(t, err)
			f.state.Environment = promoted
			for n := 0; f.state.Environment.Deployments[current].Status != environment.Completed; n++ {
				require.Less(t, n, 1000, "it does not end")
				f.step()
			}
			_, _, of = f.running()
			assert.Equal(t, map[string]int{current: 41}, of)
		})
	}
}
