// Package logging creates the log of a service: text on stderr and, if configured, in a rotated file.
package logging

import (
	"cmp"
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
	"debug": logrus.DebugLevel,
	"info":  logrus.InfoLevel,
	"warn":  logrus.WarnLevel,
	"error": logrus.ErrorLevel,
	"crit":  logrus.FatalLevel, // ends the process
	"none":  logrus.PanicLevel, // with its output discarded
}

// The formats of a log.
const (
	FormatText = "text" // key=value pairs
	FormatJSON = "json" // one object a line
)

// FormatUsage is the help of --log-format.
const FormatUsage = "`format` of the log: text or json"

// timestamp is RFC 3339 with milliseconds.
const timestamp = "2006-01-02T15:04:05.000Z07:00"

// Options configure a log. The zero value logs text on stderr at level info.
type Options struct {
	File   string // path of a rotated file, written in addition to stderr; empty for stderr alone
	Level  string // debug, info, warn, error, crit or none
	Format string // FormatText or FormatJSON
}

// Logger is a log and its file, if any.
type Logger struct {
	*logrus.Logger
	console io.Writer
	file    io.Closer // nil without a file
}

// IsLevel reports whether level is debug, info, warn, error, crit or none, in any case.
func IsLevel(level string) bool {
	_, known := levels[strings.ToLower(level)]
	return known
}

// IsFormat reports whether format is text or json.
func IsFormat(format string) bool { return format == FormatText || format == FormatJSON }

// New opens the log of the service whose variables begin with prefix, such as CSS for CSS_LOG_FILE and CSS_LOG_LEVEL.
// As in v0.3, any other level is info, and a file that cannot be written leaves the log on stderr alone; the log's
// first line warns about it. The caller closes the Logger.
//
// With a file, the first line starts a goroutine of lumberjack that lasts as long as the process.
func New(prefix string, o Options) *Logger { return newLogger(os.Stderr, prefix, o) }

func newLogger(console io.Writer, prefix string, o Options) *Logger {
	file, level := o.File, o.Level
	l := &Logger{Logger: logrus.New(), console: console}
	l.SetFormatter(formatter(o.Format))
	l.SetOutput(console)
	if strings.EqualFold(level, "none") {
		l.SetLevel(levels["none"])
		l.SetOutput(io.Discard)
		return l
	}
	if file != "" {
		if err := tryOpen(file); err != nil { // shown whatever the level is, as the level is not set yet
			l.WithError(err).Warnf("failed to open %s_LOG_FILE; logging to stderr alone", prefix)
		} else {
			rotated := &lumberjack.Logger{Filename: file, MaxSize: maxMegabytes, MaxBackups: maxBackups}
			l.file = rotated
			l.SetOutput(io.MultiWriter(console, rotated))
		}
	}
	if level != "" && !IsLevel(level) {
		l.WithField("given", level).Warnf("%s_LOG_LEVEL is none of debug, info, warn, error, crit, none; using info", prefix)
		level = "info"
	}
	l.SetLevel(levels[strings.ToLower(cmp.Or(level, "info"))])
	return l
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
