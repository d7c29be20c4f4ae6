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
	Wide bool // shown with Style.Wide only
	Flex bool // may be truncated to fit a terminal
}

// Rows is a table.
type Rows struct {
	Columns []Column
	Cells   [][]string // one per column

	least []int // widths of columns to begin with; nil: none. Then those that were written.
}

// empty is what a cell without a value shows.
const empty = "-"

// minColumnWidth is the width to which a column may be truncated, in characters.
const minColumnWidth = 9

// Columns returns columns with names. A suffix "+" marks a wide column, "~" one that may be truncated.
func Columns(names ...string) []Column {
	columns := make([]Column, len(names))
	for i, name := range names {
		columns[i] = Column{Name: strings.TrimRight(name, "+~"), Wide: strings.HasSuffix(name, "+"),
			Flex: strings.HasSuffix(name, "~")}
	}
	return columns
}

// Add appends a row. An empty cell is printed as "-", so that every row has all its fields.
func (r *Rows) Add(cells ...string) {
	for i := range cells {
		cells[i] = OneLine(cells[i])
		if cells[i] == "" {
			cells[i] = empty
		}
	}
	r.Cells = append(r.Cells, cells)
}

// Sort sorts the rows by style.SortBy, if that is set. It returns a ColumnError if there is no such column.
func (r *Rows) Sort(style Style) error {
	if style.SortBy == "" {
		return nil
	}
	return r.sort(style.SortBy)
}

// Write writes a heading and one line per row. On a narrow terminal it truncates the widest columns, except with
// Style.Wide.
//
// With the format Name, it writes only the first column.
func (r *Rows) Write(out io.Writer, style Style) error {
	if err := r.Sort(style); err != nil {
		return err
	}
	if style.Format == Name {
		return r.writeNames(out)
	}
	return r.writeTable(out, style)
}

func (r *Rows) writeNames(out io.Writer) error {
	var names strings.Builder
	for _, row := range r.Cells {
		names.WriteString(row[0] + "\n")
	}
	_, err := io.WriteString(out, names.String())
	return err
}

func (r *Rows) writeTable(out io.Writer, style Style) error {
	var shown []int
	for i, column := range r.Columns {
		if !column.Wide || style.Wide {
			shown = append(shown, i)
		}
	}
	widths := r.widths(shown, style.NoHeaders)
	if style.Width > 0 && !style.Wide {
		r.fit(shown, widths, style.Width)
	}
	r.least = widths
	var text strings.Builder
	line := func(cell func(column int) string, paint func(string) string) {
		for n, i := range shown {
			value := truncate(cell(i), widths[i])
			padding := widths[i] - utf8.RuneCountInString(value)
			text.WriteString(paint(value))
			if n < len(shown)-1 {
				text.WriteString(strings.Repeat(" ", padding+2))
			}
		}
		text.WriteByte('\n')
	}
	if !style.NoHeaders {
		line(func(i int) string { return r.Columns[i].Name }, func(s string) string { return style.paint(bold, s) })
	}
	for _, row := range r.Cells {
		line(func(i int) string { return row[i] }, style.Colourize)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (r *Rows) widths(shown []int, noHeaders bool) []int {
	widths := make([]int, len(r.Columns))
	copy(widths, r.least)
	for _, i := range shown {
		if !noHeaders {
			widths[i] = utf8.RuneCountInString(r.Columns[i].Name)
		}
		for _, row := range r.Cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	return widths
}

// fit narrows the widest flexible columns until the lines fit or no column can shrink.
func (r *Rows) fit(shown, widths []int, terminal int) {
	total := 2 * (len(shown) - 1)
	for _, i := range shown {
		total += widths[i]
	}
	for ; total > terminal; total-- {
		widest := -1
		for _, i := range shown {
			if r.Columns[i].Flex && widths[i] > minColumnWidth && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

func truncate(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:width-1]) + "…"
}

// Fields prints names and values, one per line.
type Fields struct {
	names, values []string
}

// Add appends a field unless its value is empty.
func (f *Fields) Add(name, value string) {
	if value != "" {
		f.names, f.values = append(f.names, name), append(f.values, OneLine(value))
	}
}

// Write writes the fields with aligned values; with the format Name, only the first value.
func (f *Fields) Write(out io.Writer, style Style) error {
	if style.Format == Name {
		_, err := io.WriteString(out, f.values[0]+"\n")
		return err
	}
	width := 0
	for _, name := range f.names {
		width = max(width, utf8.RuneCountInString(name))
	}
	for i, name := range f.names {
		padding := strings.Repeat(" ", width-utf8.RuneCountInString(name)+2)
		if _, err := fmt.Fprintf(out, "%s%s%s\n", style.paint(bold, name+":"), padding,
			style.Colourize(f.values[i])); err != nil {
			return err
		}
	}
	return nil
}

// colour is a terminal's code of a colour.
type colour string

const (
	bold   colour = "1"
	green  colour = "32"
	yellow colour = "33"
	red    colour = "31"
)

// colouredWords maps colours to the words that a cell shows in that colour.
var colouredWords = map[colour][]string{
	green: {"healthy", "active", "running", "ACTIVE", "RUNNING", "COMPLETED", "yes"},
	yellow: {"deploying", "paused", "deleting", "pending", "outdated", "missing", "IN_PROGRESS",
		"WAITING_FOR_PROMOTION", "STOPPED", "DRAINING", "PENDING", "wait"},
	red: {"unhealthy", "failed", "FAILED", "INACTIVE"},
}

// Colourize returns text in its colour, if it has one.
func (s Style) Colourize(text string) string {
	for of, list := range colouredWords {
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
