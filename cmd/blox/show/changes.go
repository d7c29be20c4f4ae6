package show

import (
	"io"
	"slices"
	"strings"
)

// Changes writes a table that is read again and again: first all of it, then the rows that are new, changed or gone.
// The first cell identifies a row.
type Changes struct {
	known  map[string]string // the text of each row, without ages; nil before the first table
	widths []int
}

// Write writes the rows that differ from those of the last call.
func (c *Changes) Write(out io.Writer, rows *Rows, style Style) error {
	known := map[string]string{}
	changed := &Rows{Columns: rows.Columns, least: c.widths}
	for _, row := range rows.Cells {
		text := rows.withoutAges(row, style.Wide)
		known[row[0]] = text
		if before, is := c.known[row[0]]; !is || before != text {
			changed.Cells = append(changed.Cells, row)
		}
	}
	for _, name := range slices.Sorted(goneNames(c.known, known)) {
		gone := make([]string, len(rows.Columns))
		gone[0] = name
		for i := 1; i < len(gone); i++ {
			gone[i] = empty
		}
		if len(gone) > 1 {
			gone[1] = "(gone)"
		}
		changed.Cells = append(changed.Cells, gone)
	}
	style.NoHeaders = style.NoHeaders || c.known != nil
	c.known = known
	if len(changed.Cells) == 0 {
		return changed.Sort(style)
	}
	err := changed.Write(out, style)
	c.widths = changed.least
	return err
}

// goneNames yields the names that only before has.
func goneNames(before, now map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range before {
			if _, stays := now[name]; !stays && !yield(name) {
				return
			}
		}
	}
}

// withoutAges returns the shown cells of a row except ages, which change all the time.
func (r *Rows) withoutAges(row []string, wide bool) string {
	var cells []string
	for i, column := range r.Columns {
		if column.Name != "AGE" && (wide || !column.Wide) {
			cells = append(cells, row[i])
		}
	}
	return strings.Join(cells, "\x00")
}
