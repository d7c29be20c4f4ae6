package show

import (
	"strconv"
	"strings"
	"time"
)

// ID returns the last part of an ARN, or the whole ARN with Style.Wide. Other texts stay unchanged.
func (s Style) ID(arn string) string {
	if s.Wide || !strings.HasPrefix(arn, "arn:") {
		return arn
	}
	if slash := strings.LastIndexByte(arn, '/'); slash >= 0 {
		return arn[slash+1:]
	}
	return arn
}

// Count formats a number; empty if it is unknown.
func Count(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// Time formats t in UTC to the second; empty if t is zero.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// Duration formats d to the second, below ten seconds to a tenth: 0.4s, 12s, 3m5s.
func Duration(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// YesNo formats a boolean.
func YesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// OneLine removes line breaks and control characters from text of others.
func OneLine(text string) string { return strings.ReplaceAll(StripControl(text), "\n", " ") }

// StripControl replaces control characters, except line breaks, by spaces.
func StripControl(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
