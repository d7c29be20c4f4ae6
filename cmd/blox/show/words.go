package show

import (
	"strconv"
	"strings"
	"time"
)

// ID is the last part of an ARN: a task's, an instance's, a cluster's or a task definition's. What is no ARN stays as it is.
func (s Style) ID(arn string) string {
	if s.Wide || !strings.HasPrefix(arn, "arn:") {
		return arn
	}
	if slash := strings.LastIndexByte(arn, '/'); slash >= 0 {
		return arn[slash+1:]
	}
	return arn
}

// Count is a number, or empty when it is not known.
func Count(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// Time is t in UTC to the second; empty when t is zero.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// Duration is d to the second, or to a tenth below ten: 0.4s, 12s, 3m5s.
func Duration(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// YesNo is a truth in a word.
func YesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// OneLine keeps what others have written from breaking a line or steering the terminal.
func OneLine(text string) string { return strings.ReplaceAll(Plain(text), "\n", " ") }

// Plain is text without what steers a terminal.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
