package robustness

import (
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
)

// op is a call from one time to another; to 0 is one that was not answered.
func op(from, to int64, in, out any) porcupine.Operation {
	if to == 0 {
		to = 1 << 60
	}
	return porcupine.Operation{Input: in, Output: out, Call: from, Return: to}
}

func TestWhatARegisterMayAnswer(t *testing.T) {
	create := call{Do: "create", Value: "1"}
	get := call{Do: "get"}
	shows := func(value, token string) answer {
		return answer{Status: 200, Value: value, Token: token, Phase: "inactive"}
	}
	missing := answer{Status: 404}
	made := op(1, 2, create, shows("1", "a"))
	for name, tc := range map[string]struct {
		legal   bool
		history []porcupine.Operation
	}{
		"what was written is read":              {true, []porcupine.Operation{made, op(3, 4, get, shows("1", "a"))}},
		"what was acknowledged is gone":         {false, []porcupine.Operation{made, op(3, 4, get, missing)}},
		"an old value after the new":            {false, []porcupine.Operation{made, op(3, 4, call{"patch", "2", "a"}, shows("2", "b")), op(5, 6, get, shows("1", "a"))}},
		"an old value beside the new":           {true, []porcupine.Operation{made, op(3, 6, call{"patch", "2", "a"}, shows("2", "b")), op(4, 5, get, shows("1", "a"))}},
		"new, then old, beside the write":       {false, []porcupine.Operation{made, op(3, 9, call{"patch", "2", "a"}, shows("2", "b")), op(4, 5, get, shows("2", "b")), op(6, 7, get, shows("1", "a"))}},
		"a stale token wins":                    {false, []porcupine.Operation{made, op(3, 4, call{"patch", "2", "a"}, shows("2", "b")), op(5, 6, call{"patch", "3", "a"}, shows("3", "c"))}},
		"a good token is refused":               {false, []porcupine.Operation{made, op(3, 4, call{"patch", "2", "a"}, answer{Status: 409})}},
		"a write without an answer is seen":     {true, []porcupine.Operation{made, op(3, 0, call{"patch", "2", "a"}, answer{}), op(5, 6, get, shows("2", "b"))}},
		"a write without an answer is not seen": {true, []porcupine.Operation{made, op(3, 0, call{"patch", "2", "a"}, answer{}), op(5, 6, get, shows("1", "a"))}},
		"it is seen, and then not":              {false, []porcupine.Operation{made, op(3, 0, call{"patch", "2", "a"}, answer{}), op(5, 6, get, shows("2", "b")), op(7, 8, get, shows("1", "a"))}},
		"two are created":                       {false, []porcupine.Operation{made, op(3, 4, call{Do: "create", Value: "2"}, shows("2", "b"))}},
		"deleted with tasks, it goes later": {true, []porcupine.Operation{made, op(3, 4, call{Do: "deleteTasks"}, answer{Status: 200}),
			op(5, 6, get, answer{Status: 200, Value: "1", Token: "a", Phase: "deleting"}), op(7, 8, get, missing), op(9, 10, call{Do: "create", Value: "2"}, shows("2", "b"))}},
		"deleted with tasks, it comes back": {false, []porcupine.Operation{made, op(3, 4, call{Do: "deleteTasks"}, answer{Status: 200}), op(5, 6, get, missing),
			op(7, 8, get, answer{Status: 200, Value: "1", Token: "a", Phase: "deleting"})}},
		"a pause is forgotten": {false, []porcupine.Operation{made, op(3, 4, call{Do: "pause"}, answer{Status: 200, Value: "1", Token: "a", Paused: true, Phase: "paused"}), op(5, 6, get, shows("1", "a"))}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.legal, porcupine.CheckOperations(registerModel.ToModel(), tc.history))
		})
	}
}

func TestWhatProbesMayAnswer(t *testing.T) {
	put := func(probe int, value string) probeCall { return probeCall{Do: "put", Probe: probe, Value: value} }
	done, list := probeAnswer{Done: true}, probeCall{Do: "list"}
	saw := func(values ...string) probeAnswer {
		a := probeAnswer{Done: true}
		copy(a.Values[:], values)
		return a
	}
	for name, tc := range map[string]struct {
		legal   bool
		history []porcupine.Operation
	}{
		"read after write":        {true, []porcupine.Operation{op(1, 2, put(0, "a"), done), op(3, 4, probeCall{Do: "get"}, saw("a"))}},
		"not read after write":    {false, []porcupine.Operation{op(1, 2, put(0, "a"), done), op(3, 4, probeCall{Do: "get"}, saw(""))}},
		"a list of two times":     {false, []porcupine.Operation{op(1, 2, put(0, "a"), done), op(3, 4, put(1, "b"), done), op(3, 6, put(0, "c"), done), op(7, 8, list, saw("a", "b"))}},
		"a list beside the write": {true, []porcupine.Operation{op(1, 2, put(0, "a"), done), op(3, 6, put(0, "c"), done), op(4, 5, list, saw("a"))}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.legal, porcupine.CheckOperations(probeModel.ToModel(), tc.history))
		})
	}
}
