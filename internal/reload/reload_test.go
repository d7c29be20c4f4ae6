package reload

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errMalformed = errors.New("malformed")
	errRefused   = errors.New("refused")
)

// parse accepts every text but "malformed".
func parse(text []byte) (string, error) {
	if string(text) == "malformed" {
		return "", errMalformed
	}
	return string(text), nil
}

// followed is a file whose Run goes on in the bubble of a test until the test ends.
type followed struct {
	t        *testing.T
	path     string
	registry *prometheus.Registry
	used     []string
	refuse   atomic.Bool // makes use fail
	messages *test.Hook
}

func follow(t *testing.T) *followed {
	t.Helper()
	log, messages := test.NewNullLogger()
	f := &followed{
		t: t, path: filepath.Join(t.TempDir(), "settings"), messages: messages, registry: prometheus.NewRegistry(),
	}
	f.write("first")
	opened, settings, err := Open(Config[string]{
		Path: f.path, Parse: parse,
		Log: logging.NewFailureLog(log.WithField("file", f.path),
			"failed to reload the settings file; the earlier one stays in use", "the settings file is valid again"),
		Failures: promauto.With(f.registry).NewCounter(prometheus.CounterOpts{Name: "blox_ds_file_reload_failures_total"}),
	})
	require.NoError(t, err)
	assert.Equal(t, "first", settings)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		opened.Run(ctx, func(settings string) error {
			if f.refuse.Load() {
				return errRefused
			}
			f.used = append(f.used, settings)
			return nil
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

func (f *followed) write(text string) {
	require.NoError(f.t, os.WriteFile(f.path, []byte(text), 0o600))
}

// pass lets n reads happen.
func (f *followed) pass(n int) {
	time.Sleep(time.Duration(n)*defaultInterval + defaultInterval/2)
	synctest.Wait()
}

func (f *followed) failures() float64 {
	return testenv.Metric(f.t, f.registry, "blox_ds_file_reload_failures_total")
}

func TestFile_IsUsedOnceForEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		f.pass(3)
		assert.Empty(t, f.used, "the file has not changed")
		f.write("second")
		f.pass(3)
		f.write("third")
		f.pass(3)
		assert.Equal(t, []string{"second", "third"}, f.used)
		assert.Zero(t, f.failures())
		assert.Empty(t, f.messages.AllEntries())
	})
}

func TestFile_StaysInUseWhileTheNextIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		f.write("malformed")
		f.pass(3)
		assert.Empty(t, f.used)
		assert.GreaterOrEqual(t, f.failures(), 3.)
		last := f.messages.LastEntry()
		assert.Equal(t, "failed to reload the settings file; the earlier one stays in use", last.Message)
		assert.Equal(t, f.path, last.Data["file"])
		require.NoError(t, os.Remove(f.path))
		before := f.failures()
		f.pass(1)
		assert.Greater(t, f.failures(), before, "an absent file is a failure, too")
		f.write("first")
		f.pass(1)
		assert.Empty(t, f.used, "the file is again the one in use")
		assert.Equal(t, "the settings file is valid again", f.messages.LastEntry().Message)
	})
}

func TestFile_IsTriedAgainWhenItsUseFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t)
		f.refuse.Store(true)
		f.write("second")
		f.pass(2)
		assert.GreaterOrEqual(t, f.failures(), 2.)
		f.refuse.Store(false)
		f.pass(1)
		assert.Equal(t, []string{"second"}, f.used)
	})
}

func TestOpen_ReportsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings")
	_, _, err := Open(Config[string]{Path: path, Parse: parse})
	assert.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("malformed"), 0o600))
	_, _, err = Open(Config[string]{Path: path, Parse: parse})
	assert.ErrorIs(t, err, errMalformed)
	assert.ErrorContains(t, err, path)
}
