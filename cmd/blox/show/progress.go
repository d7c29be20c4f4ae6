package show

import (
	"fmt"
	"io"
	"strings"
)

// Progress shows how far something is: on a terminal a bar that is drawn again and again, elsewhere a line for each change.
// It belongs to one goroutine.
type Progress struct {
	Out   io.Writer
	Style Style

	drawn bool   // a bar stands in the last line
	last  string // what was written elsewhere than on a terminal
}

const barWidth = 24

// Step shows that done of all are there, and what else there is to say: note is of now, and changes without being news.
func (p *Progress) Step(done, all int64, news, note string) {
	if p.Style.Width == 0 {
		if line := fmt.Sprintf("  %d/%d %s", done, all, news); line != p.last {
			p.last = line
			fmt.Fprintln(p.Out, strings.TrimRight(line, " "))
		}
		return
	}
	full := 0
	if all > 0 {
		full = int(min(done, all) * barWidth / all)
	}
	text := fmt.Sprintf("%d/%d %s  %s", done, all, news, note)
	line := cut(text, max(p.Style.Width-barWidth-4, least))
	fmt.Fprintf(p.Out, "\r\x1b[K[%s%s] %s", p.Style.paint(green, strings.Repeat("█", full)), strings.Repeat("░", barWidth-full), line)
	p.drawn = true
}

// Say writes a line above the bar.
func (p *Progress) Say(format string, args ...any) {
	p.clear()
	fmt.Fprintln(p.Out, OneLine(fmt.Sprintf(format, args...)))
}

// Warn is Say for what went wrong.
func (p *Progress) Warn(format string, args ...any) {
	p.clear()
	fmt.Fprintln(p.Out, p.Style.paint(red, OneLine(fmt.Sprintf(format, args...))))
}

// End leaves the bar as it is and goes to the next line.
func (p *Progress) End() {
	if p.drawn {
		fmt.Fprintln(p.Out)
		p.drawn = false
	}
	p.last = ""
}

func (p *Progress) clear() {
	if p.drawn {
		fmt.Fprint(p.Out, "\r\x1b[K")
		p.drawn = false
	}
}
