package robustness

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

const maxCheckTime = time.Minute // for one object's operations

// operations records the operations on several objects. Each object is checked by itself.
type operations struct {
	began    time.Time
	mu       sync.Mutex
	byObject map[string][]porcupine.Operation
}

func newOperations() *operations {
	return &operations{began: time.Now(), byObject: map[string][]porcupine.Operation{}}
}

// now returns the time of an operation, in nanoseconds.
func (o *operations) now() int64 { return time.Since(o.began).Nanoseconds() }

// complete records an operation that began at the time called and has just returned.
func (o *operations) complete(object string, client int, called int64, input, output any) {
	o.add(object, porcupine.Operation{ClientId: client, Input: input, Output: output, Call: called, Return: o.now()})
}

// indeterminate records an operation without a response. It may take effect at any later time, or never.
func (o *operations) indeterminate(object string, client int, called int64, input, output any) {
	o.add(object, porcupine.Operation{
		ClientId: client, Input: input, Output: output, Call: called, Return: math.MaxInt64,
	})
}

func (o *operations) add(object string, op porcupine.Operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.byObject[object] = append(o.byObject[object], op)
}

// checkLinearizable checks each object's operations against the model. It writes histories that are not linearizable
// to dir.
func (o *operations) checkLinearizable(
	h *history, dir, promise string, model porcupine.NondeterministicModel,
) {
	o.mu.Lock()
	defer o.mu.Unlock()
	deterministic := model.ToModel()
	for object, ops := range o.byObject {
		h.count(promise+": operations", len(ops))
		h.count(promise+": objects", 1)
		switch porcupine.CheckOperationsTimeout(deterministic, ops, maxCheckTime) {
		case porcupine.Illegal:
			h.violation(promise, "%s: no order of its %d operations explains the responses; see %s",
				object, len(ops), writeOperations(dir, object, ops))
		case porcupine.Unknown:
			h.violation(promise, "%s: not decided after %s, of %d operations; see %s",
				object, maxCheckTime, len(ops), writeOperations(dir, object, ops))
		}
	}
}

// writeOperations writes operations to a file, oldest first, and returns its path.
func writeOperations(dir, object string, ops []porcupine.Operation) string {
	path := filepath.Join(dir, fmt.Sprintf("operations-%s.jsonl", object))
	file, err := os.Create(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	encoder := json.NewEncoder(file)
	for _, op := range ops {
		_ = encoder.Encode(map[string]any{
			"client": op.ClientId, "call": float64(op.Call) / 1e9, "return": float64(op.Return) / 1e9,
			"input": op.Input, "output": op.Output,
		})
	}
	return path
}
