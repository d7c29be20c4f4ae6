package engine

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

func TestVerifyDrained_WithholdsStopsWhileECSListsUnknownTasks(t *testing.T) {
	drained := planner.Action{Kind: planner.Stop, Instance: "i1", Task: "t0", StopReason: planner.ReasonDraining}
	other := planner.Action{Kind: planner.Stop, Instance: "i1", Task: "t2", StopReason: planner.ReasonDuplicate}
	r, _, fake := newReconciliation(t, leads) // ECS lists t1 on every instance
	r.planned = []environment.Task{{ARN: "t0"}, {ARN: "t2"}}
	permitted, err := r.verifyDrained(t.Context(), []planner.Action{drained, other})
	require.ErrorIs(t, err, errUnseenTasks)
	assert.Equal(t, []planner.Action{other}, permitted, "other stops do not wait")

	r.planned = append(r.planned, environment.Task{ARN: "t1"})
	permitted, err = r.verifyDrained(t.Context(), []planner.Action{drained, other})
	require.NoError(t, err)
	assert.Equal(t, []planner.Action{drained, other}, permitted)

	for code, tc := range map[string]struct{ status, permitted int }{
		"InvalidParameterException": {http.StatusBadRequest, 1}, // ECS no longer knows the instance
		"ServerException":           {http.StatusInternalServerError, 0},
		"AccessDeniedException":     {http.StatusBadRequest, 0},
	} {
		fake.list = func() (int, string) { return tc.status, `{"__type":"` + code + `","message":"no"}` }
		permitted, err := r.verifyDrained(t.Context(), []planner.Action{drained})
		assert.Len(t, permitted, tc.permitted, code)
		assert.Equal(t, tc.permitted == 0, err != nil, code)
	}
}
