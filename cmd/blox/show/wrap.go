package show

import (
	"strings"
	"unicode/utf8"
)

// Wrap breaks the paragraphs of a text into lines of at most width columns. Lines that begin with a space, such as
// those of tables and examples, stay as they are.
func Wrap(text string, width int) string {
	var out strings.Builder
	column := 0 // in the present paragraph; 0 before its first word
	end := func() {
		if column > 0 {
			out.WriteByte('\n')
			column = 0
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, " ") || strings.TrimSpace(line) == "" {
			end()
			out.WriteString(strings.TrimRight(line, "\n") + "\n")
			continue
		}
		for _, word := range strings.Fields(line) {
			length := utf8.RuneCountInString(word)
			switch {
			case column > 0 && column+1+length > width:
				out.WriteByte('\n')
				column = length
			case column > 0:
				out.WriteByte(' ')
				column += 1 + length
			default:
				column = length
			}
			out.WriteString(word)
		}
	}
	end()
	return strings.TrimRight(out.String(), "\n")
}
