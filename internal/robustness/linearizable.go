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

// operations are histories of calls, each history to be checked by itself.
type operations struct {
	began time.Time
	mu    sync.Mutex
	of    map[string][]porcupine.Operation
}

func newOperations() *operations {
	return &operations{began: time.Now(), of: map[string][]porcupine.Operation{}}
}

// now is a time in histories.
func (o *operations) now() int64 { return time.Since(o.began).Nanoseconds() }

// add notes a call that was answered just now.
func (o *operations) add(history string, client int, called int64, input, output any) {
	o.put(history, porcupine.Operation{ClientId: client, Input: input, Output: output, Call: called, Return: o.now()})
}

// addUnknown notes a call of which nobody knows whether it was done: it may have effect at any later time, or never.
func (o *operations) addUnknown(history string, client int, called int64, input, output any) {
	o.put(history, porcupine.Operation{ClientId: client, Input: input, Output: output, Call: called, Return: math.MaxInt64})
}

func (o *operations) put(history string, op porcupine.Operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of[history] = append(o.of[history], op)
}

const longestProof = time.Minute // for one history

// linearizable checks every history against the model; those that are not are written to dir.
func (o *operations) linearizable(r *report, dir, what string, model porcupine.NondeterministicModel) {
	o.mu.Lock()
	defer o.mu.Unlock()
	whole := model.ToModel()
	for name, history := range o.of {
		r.count(what+": operations", len(history))
		r.count(what+": histories", 1)
		switch porcupine.CheckOperationsTimeout(whole, history, longestProof) {
		case porcupine.Illegal:
			r.violated(what, "%s: no order of its %d operations explains what was answered; see %s", name, len(history), write(dir, name, history))
		case porcupine.Unknown:
			r.violated(what, "%s: not decided after %s, of %d operations; see %s", name, longestProof, len(history), write(dir, name, history))
		}
	}
}

// write puts a history into a file, oldest first.
func write(dir, name string, history []porcupine.Operation) string {
	path := filepath.Join(dir, fmt.Sprintf("history-%s.jsonl", name))
	file, err := os.Create(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	encoder := json.NewEncoder(file)
	for _, op := range history {
		_ = encoder.Encode(map[string]any{"client": op.ClientId, "call": float64(op.Call) / 1e9, "return": float64(op.Return) / 1e9, "in": op.Input, "out": op.Output})
	}
	return path
}
