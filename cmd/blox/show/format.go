package show

import (
	"fmt"
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

// CountOf formats a number and the number of which it is a part, as "3/4"; empty if it is unknown.
func CountOf(n, all *int64) string {
	if n == nil || all == nil {
		return Count(n)
	}
	return Count(n) + "/" + Count(all)
}

// shortDeploymentID is the length of a deployment's id in tables. Commands accept unique prefixes of ids.
const shortDeploymentID = 8

// DeploymentID returns the beginning of a deployment's id, or the whole id with Style.Wide.
func (s Style) DeploymentID(id string) string {
	if s.Wide || len(id) < shortDeploymentID {
		return id
	}
	return id[:shortDeploymentID]
}

// Time formats t to the second, in the machine's zone or with Output.UTC in UTC; empty if t is zero.
func (s Style) Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if s.UTC {
		return t.UTC().Format("2006-01-02 15:04:05Z")
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// Age formats the time since t as kubectl does, with one or two units: 8s, 5m12s, 3h20m, 2d4h, 40d; empty if t is zero.
func (s Style) Age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	age := max(0, s.Now.Sub(t))
	days, hours := int(age.Hours())/24, int(age.Hours())%24
	minutes, seconds := int(age.Minutes())%60, int(age.Seconds())%60
	switch {
	case age < 2*time.Minute:
		return fmt.Sprintf("%ds", int(age.Seconds()))
	case age < time.Hour:
		return units(minutes, "m", seconds, "s")
	case age < 24*time.Hour:
		return units(hours, "h", minutes, "m")
	case days < 8:
		return units(days, "d", hours, "h")
	}
	return fmt.Sprintf("%dd", days)
}

// units formats a large and a small unit, without the small one if it is 0.
func units(large int, unit string, small int, smallUnit string) string {
	if small == 0 {
		return fmt.Sprintf("%d%s", large, unit)
	}
	return fmt.Sprintf("%d%s%d%s", large, unit, small, smallUnit)
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
