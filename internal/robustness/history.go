package robustness

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// history records what a run does and finds: events, one JSON object a line, counters, and violations.
type history struct {
	began time.Time
	out   io.Writer

	mu         sync.Mutex
	file       *os.File
	violations map[string]int // number by promise
	counters   map[string]int // by name
}

// maxPrinted bounds the violations of one promise that are printed, because one cause may violate it many times.
const maxPrinted = 10

func newHistory(dir string, out io.Writer) (*history, error) {
	file, err := os.Create(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		return nil, err
	}
	return &history{began: time.Now(), out: out, file: file, violations: map[string]int{}, counters: map[string]int{}}, nil
}

// violation records that a promise did not hold, and prints it.
func (h *history) violation(promise, format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	h.event("violation", map[string]any{"promise": promise, "detail": detail})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.violations[promise]++
	if h.violations[promise] <= maxPrinted {
		fmt.Fprintf(h.out, "%9s VIOLATION %s: %s\n", time.Since(h.began).Round(time.Millisecond), promise, detail)
	}
}

// event adds a line to the file.
func (h *history) event(kind string, fields map[string]any) {
	line := map[string]any{"at": time.Since(h.began).Seconds(), "kind": kind}
	maps.Copy(line, fields)
	text, err := json.Marshal(line)
	if err != nil {
		panic(err) // the fields are strings and numbers
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, _ = h.file.Write(append(text, '\n'))
}

// count adds n to a counter.
func (h *history) count(name string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counters[name] += n
}

// printf prints a line with the time since the start.
func (h *history) printf(format string, args ...any) {
	fmt.Fprintf(h.out, "%9s %s\n", time.Since(h.began).Round(time.Millisecond), fmt.Sprintf(format, args...))
}

// printSummary prints every counter and the number of violations.
func (h *history) printSummary() {
	h.mu.Lock()
	counters := maps.Clone(h.counters)
	h.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		h.printf("  %-55s %8d", name, counters[name])
	}
	h.printf("%d violations", h.violationCount())
}

func (h *history) violationCount() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, count := range h.violations {
		n += count
	}
	return n
}

func (h *history) close() error { return h.file.Close() }
