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
			log := newLogger(&console, "CSS", Options{Level: level})
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
	log := newLogger(&console, "CSS", Options{File: file, Level: "info"})
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
	log := newLogger(&console, "CSS", Options{Level: "info"})
	log.WithFields(logrus.Fields{
		"path": "/v1\n level=error msg=forged", "name": "\r\x1b[2J\u2028",
	}).WithError(errors.New("a\nb")).Info("request\nfailed")
	require.NoError(t, log.Close())
	assert.Equal(t, 1, strings.Count(console.String(), "\n"), console.String())
	assert.NotContains(t, console.String(), "\x1b")
	assert.NotContains(t, console.String(), "\r")
}

// v0.3 starts with any level and with a file that it cannot write.
func TestNew_StartsWithAnUnknownLevel(t *testing.T) {
	var console bytes.Buffer
	log := newLogger(&console, "CSS", Options{Level: "loud"})
	log.Debug("hidden")
	log.Info("shown")
	assert.Contains(t, console.String(),
		`msg="CSS_LOG_LEVEL is none of debug, info, warn, error, crit, none; using info" given=loud`)
	assert.Contains(t, console.String(), "msg=shown")
	assert.NotContains(t, console.String(), "hidden")
}

func TestNew_StartsWithoutItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, level := range []string{"info", "error", "crit"} {
		var console bytes.Buffer
		log := newLogger(&console, "DS", Options{File: filepath.Join(file, "ds.log"), Level: level})
		assert.Contains(t, console.String(), `msg="failed to open DS_LOG_FILE; logging to stderr alone" error="`, level)
		assert.Contains(t, console.String(), file)
		assert.Equal(t, levels[level], log.GetLevel())
		log.Log(logrus.FatalLevel, "shown")
		assert.Contains(t, console.String(), "msg=shown", level)
		assert.NoError(t, log.Close())
	}
}

func TestNew_WritesJSON(t *testing.T) {
	var console bytes.Buffer
	log := newLogger(&console, "CSS", Options{Format: FormatJSON})
	at := time.Date(2026, 1, 2, 8, 34, 5, 678e6, time.FixedZone("IST", 5*3600+1800))
	entry := log.WithTime(at).WithFields(logrus.Fields{
		"environment": "agent", "duration": 1500 * time.Millisecond, "etcd": []string{"a:1", "b:2"}, "path": "/a<b>&\n",
	}).WithError(errors.New("refused"))
	entry.Info("start task")
	entry.Info("start task") // the first line has not changed the entry
	require.NoError(t, log.Close())
	lines := strings.SplitAfter(console.String(), "\n")
	require.Len(t, lines, 3)
	assert.Equal(t, lines[0], lines[1])
	assert.JSONEq(t, `{"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"start task","environment":"agent",`+
		`"duration":1.5,"etcd":["a:1","b:2"],"path":"/a<b>&\n","error":"refused"}`, lines[0])
	assert.Contains(t, lines[0], "/a<b>&", "readable without a decoder")
}
