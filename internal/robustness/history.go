package robustness

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// report collects what a run finds, and writes its history: a JSON object a line.
type report struct {
	began time.Time
	out   io.Writer

	mu         sync.Mutex
	history    *os.File
	violations []violation
	counts     map[string]int // of violations, by check
	facts      map[string]int // what was done and seen, by name
}

// violation is a promise that did not hold.
type violation struct {
	at    time.Duration // since the beginning
	check string
	what  string
}

// mostOfACheck bounds what is printed of one check, as one fault may show a thousand times.
const mostOfACheck = 10

func newReport(dir string, out io.Writer) (*report, error) {
	history, err := os.Create(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		return nil, err
	}
	return &report{began: time.Now(), out: out, history: history, counts: map[string]int{}, facts: map[string]int{}}, nil
}

// violated notes that a promise did not hold.
func (r *report) violated(check, format string, args ...any) {
	v := violation{time.Since(r.began), check, fmt.Sprintf(format, args...)}
	r.note("violation", map[string]any{"check": check, "what": v.what})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts[check]++; r.counts[check] <= mostOfACheck {
		r.violations = append(r.violations, v)
		fmt.Fprintf(r.out, "%9s VIOLATION %s: %s\n", v.at.Round(time.Millisecond), check, v.what)
	}
}

// note adds a line to the history.
func (r *report) note(kind string, fields map[string]any) {
	line := map[string]any{"at": time.Since(r.began).Seconds(), "kind": kind}
	for name, value := range fields {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err) // fields are strings and numbers
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.history.Write(append(text, '\n'))
}

// count adds to what was done or seen.
func (r *report) count(fact string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts[fact] += n
}

func (r *report) say(format string, args ...any) {
	fmt.Fprintf(r.out, "%9s %s\n", time.Since(r.began).Round(time.Millisecond), fmt.Sprintf(format, args...))
}

// failed is how many violations there were.
func (r *report) failed() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, count := range r.counts {
		n += count
	}
	return n
}

func (r *report) close() error { return r.history.Close() }
