package testclock_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/harness/testclock"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/testenv/short"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reader is a process that prints its clocks.
type reader struct {
	*harness.Process
	clock *testclock.Clock
}

func newReader(t *testing.T) reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	bin := t.TempDir()
	err := testclock.Build(ctx, bin, "internal/harness/testclock/clockreader")
	if errors.Is(err, testclock.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	clock, err := testclock.New(filepath.Join(bin, "clock"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, clock.Close()) })
	p := harness.NewProcess(harness.Config{
		Name: "reader", Path: filepath.Join(bin, "clockreader"), Env: []string{clock.Env()}, Dir: t.TempDir(),
	})
	require.NoError(t, p.Start())
	t.Cleanup(p.Kill)
	return reader{p, clock}
}

// began returns what the process's clocks say now about the time at which it began. It fails the test if the monotonic
// clock has run backwards.
func (r reader) began(t *testing.T) time.Time {
	t.Helper()
	before := strings.Count(r.Output(), "\n")
	var nanoseconds, backward int64
	testenv.Eventually(t, func() bool { // the line after the next one has been read completely after the call
		lines := strings.Split(r.Output(), "\n")
		if len(lines) < before+3 {
			return false
		}
		_, err := fmt.Sscanf(lines[len(lines)-2], "reading %d %d", &nanoseconds, &backward)
		return err == nil
	})
	assert.Zero(t, backward, "the monotonic clock runs backwards")
	return time.Unix(0, nanoseconds)
}

func TestClock_StepsTheWallClockAndSuspends(t *testing.T) {
	short.Skip(t, "builds a program")
	r := newReader(t)
	began := r.began(t)
	const drift = 100 * time.Millisecond // the system may adjust its wall clock
	assert.WithinDuration(t, began, r.began(t), drift, "both clocks advance together")
	for _, step := range []time.Duration{time.Hour, -3 * time.Hour, 2 * time.Hour} {
		require.NoError(t, r.clock.Step(step))
		began = began.Add(step)
		assert.WithinDuration(t, began, r.began(t), drift)
	}
	require.NoError(t, r.clock.Suspend(r.Process, func() { time.Sleep(time.Second) }))
	missed := r.began(t).Sub(began)
	assert.GreaterOrEqual(t, missed, time.Second-drift, "the monotonic clock does not advance meanwhile")
	assert.Less(t, missed, time.Hour)

	// A process that starts later has a monotonic clock that begins anew.
	r.Kill()
	require.NoError(t, r.clock.Step(-time.Hour))
	require.NoError(t, r.Start())
	assert.WithinDuration(t, time.Now().Add(-time.Hour), r.began(t), 30*time.Minute)
}

func TestNew_RefusesAnExistingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	clock, err := testclock.New(path)
	require.NoError(t, err)
	require.NoError(t, clock.Close())
	_, err = testclock.New(path)
	assert.ErrorContains(t, err, "create a test clock")
}
