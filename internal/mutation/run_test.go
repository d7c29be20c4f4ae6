package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv/short"
)

func TestClassify_DistinguishesAssertionsFromOtherFailures(t *testing.T) {
	unit, long := test("pkg", "TestA"), robustness("nothing is lost", "--seed 7")
	exit := errors.New("exit status 1")
	for name, tc := range map[string]struct {
		by     finder
		output string
		err    error
		want   string
	}{
		"an assertion fails":              {unit, "=== RUN TestA\n--- FAIL: TestA (0.00s)\n", exit, caught},
		"all tests pass":                  {unit, "--- PASS: TestA (0.00s)\n", nil, survived},
		"the build fails":                 {unit, "undefined: a", fmt.Errorf("%w: %w", errBuild, exit), broken},
		"a test panics":                   {unit, "--- FAIL: TestA (0.00s)\npanic: nil\n", exit, panicked},
		"the tests take too long":         {unit, "panic: test timed out after 5m0s\n", exit, panicked},
		"the process ends without a test": {unit, "", exit, otherError},
		"a run reports the promise":       {long, "violation: nothing is lost: task a\n", exit, caught},
		"a run reports another promise":   {long, "violation: another promise\n", exit, otherError},
		"a run reports no violation":      {long, "0 violations\n", nil, survived},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.want, classify(tc.by, tc.output, tc.err)) })
	}
}

// A report may arrive in pieces. Until then, the run goes on, whatever else it reports.
func TestReportWriter_FindsTheReport(t *testing.T) {
	reported := false
	w := reportWriter{report: []byte("VIOLATION nothing is lost"), reported: func() { reported = true }}
	for _, text := range []string{"1s VIOLATION another promise\n", "2s VIOLATION nothing", " is"} {
		_, err := w.Write([]byte(text))
		assert.NoError(t, err)
		assert.False(t, reported, text)
	}
	_, err := w.Write([]byte(" lost: task a\n"))
	assert.NoError(t, err)
	assert.True(t, reported)
	assert.Contains(t, w.output.String(), "nothing is lost: task a\n")
}

// The mutations of a small package have each outcome that a build and a test can have.
func TestRunner_RunsTestsWithAMutation(t *testing.T) {
	short.Skip(t, "builds tests")
	top, err := filepath.Abs(root)
	require.NoError(t, err)
	r := newRunner(top, t.TempDir())
	by := test("internal/arn", "TestParseKind_RejectsAnotherKind")
	for name, tc := range map[string]struct{ old, new, want string }{
		"caught":           {`err == nil && a.Kind != kind`, `false`, caught},
		"survives":         {`%.300q: not a`, `%.299q: not a`, survived},
		"does not compile": {`err == nil && a.Kind != kind`, `undefined`, broken},
	} {
		t.Run(name, func(t *testing.T) {
			m := mutation{name: name, edits: []edit{{"internal/arn/arn.go", tc.old, tc.new}}, by: by}
			outcome, output, err := r.mutated(t.Context(), m)
			require.NoError(t, err)
			assert.Equal(t, tc.want, outcome, output)
		})
	}
	assert.NoError(t, r.baseline(t.Context(), by))
	assert.ErrorContains(t, r.baseline(t.Context(), test("internal/arn", "TestNone")), "TestNone did not run")
}
