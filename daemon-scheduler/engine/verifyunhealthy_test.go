package engine

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// The health that the plan knows may be old.
func TestVerifyUnhealthy_WithholdsStopsUntilECSReportsTheTaskUnhealthy(t *testing.T) {
	for status, stops := range map[string]int{"UNHEALTHY": 1, "HEALTHY": 0, "UNKNOWN": 0} {
		t.Run(status, func(t *testing.T) {
			r, _, fake := newReconciliation(t, leads)
			r.env.Deployments = map[string]environment.Deployment{"d": {ID: "d", CheckedContainers: []string{"agent"}}}
			r.tasks = []environment.Task{{ARN: "t1", Instance: "i1", StartedBy: "d"}}
			fake.describe = func(string) (int, string) {
				return http.StatusOK, `{"tasks":[{"taskArn":"t1","lastStatus":"RUNNING","desiredStatus":"RUNNING",` +
					`"containers":[{"name":"agent","healthStatus":"` + status + `"}]}]}`
			}
			stop := planner.Action{Kind: planner.Stop, Instance: "i1", Task: "t1", Unhealthy: true}
			drain := planner.Action{Kind: planner.Stop, Instance: "i2", Task: "t2"}
			permitted, err := r.verifyUnhealthy(t.Context(), []planner.Action{stop, drain})
			require.NoError(t, err)
			assert.Len(t, permitted, 1+stops)
			assert.Contains(t, permitted, drain, "other stops need no confirmation")
		})
	}
}
