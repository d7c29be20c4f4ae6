package show

import (
	"fmt"
	"io"
	"strings"
)

// Progress prints progress: a bar on a terminal, otherwise one line per change. It belongs to one goroutine.
type Progress struct {
	Out   io.Writer
	Style Style

	barDrawn bool   // the last line is a bar
	last     string // the last line that is not a bar
}

// barWidth is the width of the bar, in columns. On a narrow terminal, a third of it has to do.
const barWidth = 24

// Update prints done of total and a status. note may change without a new line outside of a terminal.
func (p *Progress) Update(done, total int64, status, note string) {
	if p.Style.Width == 0 {
		if line := fmt.Sprintf("  %d of %d %s", done, total, status); line != p.last {
			p.last = line
			fmt.Fprintln(p.Out, strings.TrimRight(line, " "))
		}
		return
	}
	width, full := min(barWidth, p.Style.Width/3), 0
	if total > 0 {
		full = int(min(done, total) * int64(width) / total)
	}
	text := fmt.Sprintf("%d of %d %s  %s", done, total, status, note)
	line := truncate(text, max(p.Style.Width-width-4, minColumnWidth))
	fmt.Fprintf(p.Out, "\r\x1b[K[%s%s] %s", p.Style.paint(green, strings.Repeat("█", full)),
		strings.Repeat("░", width-full), line)
	p.barDrawn = true
}

// Info prints a line above the bar.
func (p *Progress) Info(format string, args ...any) {
	p.clear()
	fmt.Fprintln(p.Out, OneLine(fmt.Sprintf(format, args...)))
}

// Warn prints an error line above the bar.
func (p *Progress) Warn(format string, args ...any) {
	p.clear()
	fmt.Fprintln(p.Out, p.Style.paint(red, OneLine(fmt.Sprintf(format, args...))))
}

// End ends the line of the bar.
func (p *Progress) End() {
	if p.barDrawn {
		fmt.Fprintln(p.Out)
		p.barDrawn = false
	}
	p.last = ""
}

func (p *Progress) clear() {
	if p.barDrawn {
		fmt.Fprint(p.Out, "\r\x1b[K")
		p.barDrawn = false
	}
}
