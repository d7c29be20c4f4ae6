package testenv

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// Eventually returns when done returns true. It calls done every 5 ms on the test's goroutine. After three minutes
// the test fails with message, a format and its arguments.
func Eventually(tb testing.TB, done func() bool, message ...any) {
	tb.Helper()
	for deadline := time.Now().Add(timeout); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(tb, "condition not met within "+timeout.String(), message...)
		}
	}
}

// Receive returns the next value of the channel. After three minutes the test fails with message, a format and its
// arguments.
func Receive[T any](tb testing.TB, from <-chan T, message ...any) T {
	tb.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(timeout):
		require.FailNow(tb, "nothing received within "+timeout.String(), message...)
		panic("unreachable")
	}
}

// Golden fails the test unless got equals the file testdata/<name>. With go test -update it writes the file.
func Golden(tb testing.TB, name string, got []byte) {
	tb.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(tb, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(tb, err, "create it with go test -update")
	assert.Equal(tb, string(want), string(got), path)
}

// Logger writes to the test's log, from debug up. A goroutine that logs after the end of the test panics, because
// nothing may outlive its test.
func Logger(tb testing.TB) *logrus.Logger {
	log := logrus.New()
	log.SetLevel(logrus.DebugLevel)
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: "15:04:05.000"})
	log.SetOutput(tb.Output())
	return log
}
