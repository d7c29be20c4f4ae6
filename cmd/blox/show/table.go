package show

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Column is a column of a table.
type Column struct {
	Name string
	Wide bool // only shown with Style.Wide
	Flex bool // may be cut to fit a terminal
}

// Rows are a table.
type Rows struct {
	Columns []Column
	Cells   [][]string // each row has as many as there are columns
}

// least is how narrow a column is cut, in characters.
const least = 12

// Columns are named columns; one that ends in "+" is only for Style.Wide, one in "~" may be cut.
func Columns(names ...string) []Column {
	columns := make([]Column, len(names))
	for i, name := range names {
		columns[i] = Column{Name: strings.TrimRight(name, "+~"), Wide: strings.HasSuffix(name, "+"), Flex: strings.HasSuffix(name, "~")}
	}
	return columns
}

// Add appends a row. What is empty is shown as "-", so that every row has all its fields.
func (r *Rows) Add(cells ...string) {
	for i := range cells {
		cells[i] = OneLine(cells[i])
		if cells[i] == "" {
			cells[i] = "-"
		}
	}
	r.Cells = append(r.Cells, cells)
}

// Write writes the table: a heading and a line a row. On a terminal that is too narrow the widest cells are cut, unless
// Style.Wide asks for all.
func (r *Rows) Write(out io.Writer, style Style) error {
	var shown []int
	for i, column := range r.Columns {
		if !column.Wide || style.Wide {
			shown = append(shown, i)
		}
	}
	widths := r.widths(shown)
	if style.Width > 0 && !style.Wide {
		r.fit(shown, widths, style.Width)
	}
	var text strings.Builder
	line := func(cell func(column int) string, paint func(string) string) {
		for n, i := range shown {
			value := cut(cell(i), widths[i])
			padding := widths[i] - utf8.RuneCountInString(value)
			text.WriteString(paint(value))
			if n < len(shown)-1 {
				text.WriteString(strings.Repeat(" ", padding+2))
			}
		}
		text.WriteByte('\n')
	}
	line(func(i int) string { return r.Columns[i].Name }, func(s string) string { return style.paint(bold, s) })
	for _, row := range r.Cells {
		line(func(i int) string { return row[i] }, style.Word)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (r *Rows) widths(shown []int) []int {
	widths := make([]int, len(r.Columns))
	for _, i := range shown {
		widths[i] = utf8.RuneCountInString(r.Columns[i].Name)
		for _, row := range r.Cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	return widths
}

// fit cuts the widest of the columns that may be cut, until the lines fit or nothing is left to cut.
func (r *Rows) fit(shown, widths []int, terminal int) {
	total := 2 * (len(shown) - 1)
	for _, i := range shown {
		total += widths[i]
	}
	for ; total > terminal; total-- {
		widest := -1
		for _, i := range shown {
			if r.Columns[i].Flex && widths[i] > least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:width-1]) + "…"
}

// Fields are names and values, a line each.
type Fields struct {
	names, values []string
}

// Add appends a field; one without a value is left out.
func (f *Fields) Add(name, value string) {
	if value != "" {
		f.names, f.values = append(f.names, name), append(f.values, OneLine(value))
	}
}

// Write writes the fields, with the values below each other.
func (f *Fields) Write(out io.Writer, style Style) error {
	width := 0
	for _, name := range f.names {
		width = max(width, utf8.RuneCountInString(name))
	}
	for i, name := range f.names {
		padding := strings.Repeat(" ", width-utf8.RuneCountInString(name)+2)
		if _, err := fmt.Fprintf(out, "%s%s%s\n", style.paint(bold, name+":"), padding, style.Word(f.values[i])); err != nil {
			return err
		}
	}
	return nil
}

// colour is a terminal's code of one.
type colour string

const (
	bold   colour = "1"
	green  colour = "32"
	yellow colour = "33"
	red    colour = "31"
)

// words are those that have a colour wherever they stand alone.
var words = map[colour][]string{
	green:  {"healthy", "active", "running", "ACTIVE", "RUNNING", "COMPLETED", "yes"},
	yellow: {"deploying", "paused", "deleting", "pending", "outdated", "missing", "IN_PROGRESS", "STOPPED", "DRAINING", "PENDING", "wait"},
	red:    {"unhealthy", "failed", "FAILED", "INACTIVE"},
}

// Word is text, in its colour if it is a word that has one.
func (s Style) Word(text string) string {
	for of, list := range words {
		if slices.Contains(list, text) {
			return s.paint(of, text)
		}
	}
	return text
}

func (s Style) paint(in colour, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return "\x1b[" + string(in) + "m" + text + "\x1b[0m"
}
