package logging

import (
	"time"

	"github.com/sirupsen/logrus"
)

// formatter returns the formatter of a format; that of text by default.
func formatter(format string) logrus.Formatter {
	if format == FormatJSON {
		return jsonFormatter{&logrus.JSONFormatter{TimestampFormat: timestamp, DisableHTMLEscape: true}}
	}
	return textFormatter{&logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: timestamp}}
}

// textFormatter formats times as 2026-01-02T15:04:05.678Z in every time zone.
type textFormatter struct{ *logrus.TextFormatter }

func (f textFormatter) Format(e *logrus.Entry) ([]byte, error) {
	e.Time = e.Time.UTC()
	return f.TextFormatter.Format(e)
}

// jsonFormatter formats times as textFormatter does, and durations as seconds.
type jsonFormatter struct{ *logrus.JSONFormatter }

func (f jsonFormatter) Format(e *logrus.Entry) ([]byte, error) {
	e.Time = e.Time.UTC()
	data := make(logrus.Fields, len(e.Data))
	for name, value := range e.Data {
		if d, ok := value.(time.Duration); ok {
			value = d.Seconds() // logrus would write nanoseconds, which nothing says
		}
		data[name] = value
	}
	formatted := *e // e.Data is shared by the lines of a logger
	formatted.Data = data
	return f.JSONFormatter.Format(&formatted)
}
