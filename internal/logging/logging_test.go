package logging

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

func TestNew_FiltersByLevel(t *testing.T) {
	for level, want := range map[string][]string{
		"debug": {"debug", "info", "warning", "error", "fatal"},
		"":      {"info", "warning", "error", "fatal"},
		"info":  {"info", "warning", "error", "fatal"},
		"warn":  {"warning", "error", "fatal"},
		"Error": {"error", "fatal"},
		"crit":  {"fatal"},
		"none":  nil,
	} {
		t.Run(level, func(t *testing.T) {
			var console bytes.Buffer
			log, err := newLogger(&console, "CSS", "", level)
			require.NoError(t, err)
			log.ExitFunc = func(int) {}
			var shown []string
			for _, l := range []logrus.Level{
				logrus.DebugLevel, logrus.InfoLevel, logrus.WarnLevel, logrus.ErrorLevel, logrus.FatalLevel,
			} {
				console.Reset()
				log.Log(l, "hello")
				if bytes.Contains(console.Bytes(), []byte("level="+l.String()+" msg=hello")) {
					shown = append(shown, l.String())
				}
			}
			assert.Equal(t, want, shown)
			assert.NoError(t, log.Close())
		})
	}
}

func TestNew_WritesToFileAndConsole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "made", "css.log")
	var console bytes.Buffer
	log, err := newLogger(&console, "CSS", file, "info")
	require.NoError(t, err)
	at := time.Date(2026, 1, 2, 8, 34, 5, 678e6, time.FixedZone("IST", 5*3600+1800))
	log.WithTime(at).WithField("environment", "agent").Info("start task")
	require.NoError(t, log.Close())

	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, console.String(), string(written))
	assert.Equal(t, `time="2026-01-02T03:04:05.678Z" level=info msg="start task" environment=agent`+"\n", string(written))

	log.Info("after Close")
	again, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, written, again)
	assert.Contains(t, console.String(), "after Close")
}

// What a client sends can be in a log's fields; it cannot make lines of its own.
func TestNew_EscapesLineBreaks(t *testing.T) {
	var console bytes.Buffer
	log, err := newLogger(&console, "CSS", "", "info")
	require.NoError(t, err)
	log.WithFields(logrus.Fields{
		"path": "/v1\n level=error msg=forged", "name": "\r\x1b[2J\u2028",
	}).WithError(errors.New("a\nb")).Info("request\nfailed")
	require.NoError(t, log.Close())
	assert.Equal(t, 1, strings.Count(console.String(), "\n"), console.String())
	assert.NotContains(t, console.String(), "\x1b")
	assert.NotContains(t, console.String(), "\r")
}

func TestNew_NamesTheInvalidVariable(t *testing.T) {
	_, err := New("CSS", "", "loud")
	assert.EqualError(t, err, `CSS_LOG_LEVEL: "loud" is none of debug, info, warn, error, crit, none`)

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = New("DS", filepath.Join(file, "ds.log"), "")
	assert.ErrorContains(t, err, "DS_LOG_FILE: ")
}
