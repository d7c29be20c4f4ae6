package robustness

import (
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
)

// operation returns an operation from one time to another; to 0 is one without a response.
func operation(from, to int64, input, output any) porcupine.Operation {
	if to == 0 {
		to = 1 << 60
	}
	return porcupine.Operation{Input: input, Output: output, Call: from, Return: to}
}

func TestEnvironmentModel_AcceptsLinearizableOperationsOnly(t *testing.T) {
	create := environmentOp{Kind: opCreate, Value: "1"}
	create2 := environmentOp{Kind: opCreate, Value: "2"}
	get := environmentOp{Kind: opGet}
	patch := func(value, token string) environmentOp { return environmentOp{opPatch, value, token} }
	shows := func(value, token string) environmentResult {
		return environmentResult{Status: 200, Value: value, Token: token, Phase: "inactive"}
	}
	deleting := environmentResult{Status: 200, Value: "1", Token: "a", Phase: "deleting"}
	paused := environmentResult{Status: 200, Value: "1", Token: "a", Paused: true, Phase: "paused"}
	ok, notFound := environmentResult{Status: 200}, environmentResult{Status: 404}
	conflict, unknown := environmentResult{Status: 409}, environmentResult{}
	op := operation
	for name, tc := range map[string]struct {
		linearizable bool
		after        []porcupine.Operation // the environment's creation
	}{
		"a read returns the write":         {true, []porcupine.Operation{op(3, 4, get, shows("1", "a"))}},
		"an acknowledged write is missing": {false, []porcupine.Operation{op(3, 4, get, notFound)}},
		"an old value after the write": {false, []porcupine.Operation{
			op(3, 4, patch("2", "a"), shows("2", "b")), op(5, 6, get, shows("1", "a"))}},
		"an old value during the write": {true, []porcupine.Operation{
			op(3, 6, patch("2", "a"), shows("2", "b")), op(4, 5, get, shows("1", "a"))}},
		"the new and then the old value during the write": {false, []porcupine.Operation{
			op(3, 9, patch("2", "a"), shows("2", "b")), op(4, 5, get, shows("2", "b")), op(6, 7, get, shows("1", "a"))}},
		"a stale token is accepted": {false, []porcupine.Operation{
			op(3, 4, patch("2", "a"), shows("2", "b")), op(5, 6, patch("3", "a"), shows("3", "c"))}},
		"a valid token is rejected": {false, []porcupine.Operation{op(3, 4, patch("2", "a"), conflict)}},
		"an indeterminate write took effect": {true, []porcupine.Operation{
			op(3, 0, patch("2", "a"), unknown), op(5, 6, get, shows("2", "b"))}},
		"an indeterminate write took no effect": {true, []porcupine.Operation{
			op(3, 0, patch("2", "a"), unknown), op(5, 6, get, shows("1", "a"))}},
		"an indeterminate write appears and disappears": {false, []porcupine.Operation{
			op(3, 0, patch("2", "a"), unknown), op(5, 6, get, shows("2", "b")), op(7, 8, get, shows("1", "a"))}},
		"a name is used twice": {false, []porcupine.Operation{op(3, 4, create2, shows("2", "b"))}},
		"a deletion with tasks completes later": {true, []porcupine.Operation{
			op(3, 4, environmentOp{Kind: opDeleteTasks}, ok), op(5, 6, get, deleting), op(7, 8, get, notFound),
			op(9, 10, create2, shows("2", "b"))}},
		"a deleted environment reappears": {false, []porcupine.Operation{
			op(3, 4, environmentOp{Kind: opDeleteTasks}, ok), op(5, 6, get, notFound), op(7, 8, get, deleting)}},
		"a pause is lost": {false, []porcupine.Operation{
			op(3, 4, environmentOp{Kind: opPause}, paused), op(5, 6, get, shows("1", "a"))}},
	} {
		t.Run(name, func(t *testing.T) {
			history := append([]porcupine.Operation{op(1, 2, create, shows("1", "a"))}, tc.after...)
			assert.Equal(t, tc.linearizable, porcupine.CheckOperations(environmentModel.ToModel(), history))
		})
	}
}

func TestProbeModel_AcceptsLinearizableOperationsOnly(t *testing.T) {
	put := func(probe int, value string) probeOp { return probeOp{Kind: "put", Probe: probe, Value: value} }
	done, get, list := probeResult{Done: true}, probeOp{Kind: "get"}, probeOp{Kind: "list"}
	returned := func(values ...string) probeResult {
		r := probeResult{Done: true}
		copy(r.Values[:], values)
		return r
	}
	op := operation
	for name, tc := range map[string]struct {
		linearizable bool
		operations   []porcupine.Operation
	}{
		"a read returns the write": {true, []porcupine.Operation{
			op(1, 2, put(0, "a"), done), op(3, 4, get, returned("a"))}},
		"a read misses an earlier write": {false, []porcupine.Operation{
			op(1, 2, put(0, "a"), done), op(3, 4, get, returned(""))}},
		"a list mixes two states": {false, []porcupine.Operation{op(1, 2, put(0, "a"), done), op(3, 4, put(1, "b"), done),
			op(3, 6, put(0, "c"), done), op(7, 8, list, returned("a", "b"))}},
		"a list during a write": {true, []porcupine.Operation{op(1, 2, put(0, "a"), done), op(3, 6, put(0, "c"), done),
			op(4, 5, list, returned("a"))}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.linearizable, porcupine.CheckOperations(probeModel.ToModel(), tc.operations))
		})
	}
}
