// Package docs generates tables of the reference pages from the code, and checks the Markdown of the project. Tests
// alone use it.
package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// updateVariable is the environment variable with which the checks rewrite pages; `make generate` sets it.
const updateVariable = "UPDATE_REFERENCE"

// Table is a table of a reference page. Each cell is Markdown.
type Table struct {
	Header []string
	Rows   [][]string
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// String returns the table in Markdown.
func (t Table) String() string {
	var b strings.Builder
	row := func(cells []string) {
		for _, cell := range cells {
			b.WriteString(strings.TrimRight("| "+strings.NewReplacer("\n", " ", "|", `\|`).Replace(cell), " ") + " ")
		}
		b.WriteString("|\n")
	}
	row(t.Header)
	b.WriteString(strings.Repeat("|---", len(t.Header)) + "|\n")
	for _, cells := range t.Rows {
		row(cells)
	}
	return b.String()
}

// Code returns the text as code; empty for an empty text.
func Code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// Codes returns each text as code, separated by commas.
func Codes(texts []string) string {
	var coded []string
	for _, text := range texts {
		coded = append(coded, Code(text))
	}
	return strings.Join(coded, ", ")
}

var inCode = regexp.MustCompile(`--[a-z][a-z0-9-]+\b|\b(?:[A-Z]+_)+[A-Z0-9]+\b`)

// Plain returns a plain text, such as the help of a flag, in Markdown. Flags and variables become code.
func Plain(text string) string {
	text = strings.NewReplacer("*", `\*`, "<", `\<`, "`", "").Replace(text)
	return inCode.ReplaceAllStringFunc(text, Code)
}

// Check fails the test if a generated block of the page differs from content. The block stands between the lines
// `<!-- generated: NAME -->` and `<!-- end: NAME -->`. With UPDATE_REFERENCE=1, Check rewrites the block.
func Check(t testing.TB, page, name, content string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	begin, end := "<!-- generated: "+name+" -->\n", "<!-- end: "+name+" -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found, "%s has no line %s", page, begin)
	block, after, found := strings.Cut(rest, end)
	require.True(t, found, "%s has no line %s", page, end)
	content = "\n" + strings.TrimSpace(content) + "\n\n"
	if os.Getenv(updateVariable) != "" && block != content {
		require.NoError(t, os.WriteFile(page, []byte(before+begin+content+end+after), 0o644))
		return
	}
	assert.Equal(t, content, block, "%s is outdated: run `make generate`", page)
}
