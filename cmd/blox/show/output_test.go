package show

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOutput_ParsesFormats(t *testing.T) {
	for text, want := range map[string]Output{
		"table": {Format: Table}, "wide": {Format: Table, Wide: true}, "name": {Format: Name}, "json": {Format: JSON},
		"yaml": {Format: YAML}, "jsonpath={.a}": {Format: JSONPath, Path: "{.a}"},
	} {
		var o Output
		require.NoError(t, o.ParseFormat(text), text)
		assert.Equal(t, want, o)
	}
	for text, want := range map[string]string{
		"xml":        "must be one of table, wide, name, json, yaml, jsonpath=",
		"":           "must be one of",
		"jsonpath=[": "invalid JSONPath, such as {.items[*].name}: ",
	} {
		assert.ErrorContains(t, new(Output).ParseFormat(text), want, text)
	}
}

func TestOutput_WritesWhatAPathSelects(t *testing.T) {
	value := map[string]any{"items": []any{
		map[string]any{"name": "a", "count": 3}, map[string]any{"name": "b", "tags": map[string]any{"x": "y"}},
	}}
	for path, want := range map[string]string{
		"{.items[*].name}":                "a\nb\n",
		".items[*].name":                  "a\nb\n",
		"$.items[0].count":                "3\n",
		"{.items[*].tags}":                "{\"x\":\"y\"}\n",
		"{.items[?@.name == 'b'].tags.x}": "y\n",
		"{.missing}":                      "",
	} {
		var out strings.Builder
		o := Output{Format: JSONPath, Path: path}
		require.NoError(t, o.Encode(&out, value), path)
		assert.Equal(t, want, out.String(), path)
	}
}

func TestRows_SortNumbersByValueAndMissingLast(t *testing.T) {
	sorted := func(style Style) string {
		rows := &Rows{Columns: Columns("NAME", "FAILED", "SHARE+")}
		rows.Add("b", "10", "5%")
		rows.Add("a", "9", "10%")
		rows.Add("c", "", "")
		var out strings.Builder
		require.NoError(t, rows.Write(&out, style))
		return strings.ReplaceAll(out.String(), "\n", " ")
	}
	style := func(column string) Style { return Style{Output: Output{Format: Name, SortBy: column}} }
	assert.Equal(t, "a b c ", sorted(style("failed")))
	assert.Equal(t, "b a c ", sorted(style("SHARE")))
	assert.Equal(t, "b a c ", sorted(style("")), "the order of the service")
	err := new(Rows).Write(&strings.Builder{}, style("x"))
	assert.ErrorContains(t, err, `--sort-by "x": must be one of the columns`)
	assert.Equal(t, "b  10 a  9 c  - ", sorted(Style{Output: Output{Format: Table, NoHeaders: true}}))
}

func TestStyle_FormatsAgesAndTimes(t *testing.T) {
	now := time.Date(2026, 3, 4, 10, 15, 30, 0, time.UTC)
	s := Style{Now: now, Output: Output{UTC: true}}
	for age, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 312 * time.Second: "5m12s",
		time.Hour: "1h", 200 * time.Minute: "3h20m", 24 * time.Hour: "1d", 52 * time.Hour: "2d4h", 960 * time.Hour: "40d",
	} {
		assert.Equal(t, want, s.Age(now.Add(-age)), age)
	}
	assert.Empty(t, s.Age(time.Time{}))
	assert.Empty(t, s.Time(time.Time{}))
	assert.Equal(t, "2026-03-04 10:15:30Z", s.Time(now))
	assert.Equal(t, now.Local().Format(time.DateTime), Style{}.Time(now))
}

func TestTable_SortsAgesAndFractionsByValue(t *testing.T) {
	for _, cells := range [][]string{
		{"300ms", "8s", "1m30s", "10m", "3h20m", "2d4h", "9d", "40d", "-"},
		{"0/3", "2/10", "10/10", "-"},
		{"9%", "10%"},
		{"10x", "9x", "x"},
	} {
		rows := &Rows{Columns: Columns("AGE")}
		for _, cell := range slices.Backward(cells) {
			rows.Add(cell)
		}
		require.NoError(t, rows.sort("AGE"))
		for n, cell := range cells {
			assert.Equal(t, cell, rows.Cells[n][0])
		}
	}
}
