// Package logging creates the log of a service: text on stderr and, if configured, in a rotated file.
package logging

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
	"gopkg.in/natefinch/lumberjack.v2"
)

// A log file is rotated at maxMegabytes. MaxBackups earlier ones are kept as <name>-<UTC time>.<extension>.
const (
	maxMegabytes = 100
	maxBackups   = 5
)

// levels maps v0.3's names to levels.
var levels = map[string]logrus.Level{
	"":      logrus.InfoLevel,
	"debug": logrus.DebugLevel,
	"info":  logrus.InfoLevel,
	"warn":  logrus.WarnLevel,
	"error": logrus.ErrorLevel,
	"crit":  logrus.FatalLevel, // ends the process
	"none":  logrus.PanicLevel, // with its output discarded
}

// Logger is a log and its file, if any.
type Logger struct {
	*logrus.Logger
	console io.Writer
	file    io.Closer // nil without a file
}

// New opens the log of the service whose variables begin with prefix, such as CSS for CSS_LOG_FILE and CSS_LOG_LEVEL.
// File is a path, or empty for stderr alone. Level is debug, info, warn, error, crit or none; empty is info. An error
// names the invalid variable. The caller closes the Logger.
//
// With a file, the first line starts a goroutine of lumberjack that lasts as long as the process.
func New(prefix, file, level string) (*Logger, error) {
	return newLogger(os.Stderr, prefix, file, level)
}

func newLogger(console io.Writer, prefix, file, level string) (*Logger, error) {
	l := &Logger{Logger: logrus.New(), console: console}
	l.SetFormatter(&utc{logrus.TextFormatter{
		DisableColors: true, FullTimestamp: true, TimestampFormat: "2006-01-02T15:04:05.000Z07:00",
	}})
	parsed, known := levels[strings.ToLower(level)]
	if !known {
		return nil, fmt.Errorf("%s_LOG_LEVEL: %q is none of debug, info, warn, error, crit, none", prefix, level)
	}
	l.SetLevel(parsed)
	l.SetOutput(console)
	switch {
	case strings.EqualFold(level, "none"):
		l.SetOutput(io.Discard)
	case file != "":
		if err := tryOpen(file); err != nil {
			return nil, fmt.Errorf("%s_LOG_FILE: %w", prefix, err)
		}
		rotated := &lumberjack.Logger{Filename: file, MaxSize: maxMegabytes, MaxBackups: maxBackups}
		l.file = rotated
		l.SetOutput(io.MultiWriter(console, rotated))
	}
	return l, nil
}

// tryOpen reports at the start an error that lumberjack would report at the first line.
func tryOpen(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// Close closes the file. Later lines go to stderr alone.
func (l *Logger) Close() error {
	if l.file == nil {
		return nil
	}
	l.SetOutput(l.console) // lumberjack would open the file again
	return l.file.Close()
}

// utc formats times as 2026-01-02T15:04:05.678Z in every time zone.
type utc struct{ logrus.TextFormatter }

func (f *utc) Format(e *logrus.Entry) ([]byte, error) {
	e.Time = e.Time.UTC()
	return f.TextFormatter.Format(e)
}
