package show

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ColumnError reports a column that a table lacks.
type ColumnError struct {
	Name    string
	Columns []string // of the table
}

func (e *ColumnError) Error() string {
	return fmt.Sprintf("--sort-by %q: must be one of the columns %s", e.Name, strings.Join(e.Columns, ", "))
}

// sort sorts the rows by a column, numbers and ages by value. Rows without a value come last.
func (r *Rows) sort(heading string) error {
	column := slices.IndexFunc(r.Columns, func(c Column) bool { return strings.EqualFold(c.Name, heading) })
	if column < 0 {
		var names []string
		for _, c := range r.Columns {
			names = append(names, c.Name)
		}
		return &ColumnError{heading, names}
	}
	slices.SortStableFunc(r.Cells, func(a, b []string) int { return compareCells(a[column], b[column]) })
	return nil
}

func compareCells(a, b string) int {
	if missing := cmp.Compare(missingRank(a), missingRank(b)); missing != 0 {
		return missing
	}
	x, isX := magnitude(a)
	y, isY := magnitude(b)
	if isX && isY {
		return cmp.Compare(x, y)
	}
	return strings.Compare(a, b)
}

// magnitude returns the value of a number, of a percentage, of the first number of "3/4", or of an age, in seconds.
func magnitude(cell string) (float64, bool) {
	number, _, _ := strings.Cut(strings.TrimSuffix(cell, "%"), "/")
	if value, err := strconv.ParseFloat(number, 64); err == nil {
		return value, true
	}
	var days time.Duration
	if before, after, found := strings.Cut(cell, "d"); found {
		n, err := strconv.Atoi(before)
		if err != nil {
			return 0, false
		}
		days, cell = time.Duration(n)*24*time.Hour, cmp.Or(after, "0s")
	}
	rest, err := time.ParseDuration(cell)
	return (days + rest).Seconds(), err == nil
}

func missingRank(cell string) int {
	if cell == empty {
		return 1
	}
	return 0
}
