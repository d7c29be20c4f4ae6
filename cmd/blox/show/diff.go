package show

import (
	"io"
	"strings"
)

// WriteDiff writes a unified diff, in colours if style has them.
func WriteDiff(out io.Writer, diff string, style Style) error {
	var text strings.Builder
	for line := range strings.Lines(diff) {
		content := StripControl(strings.TrimSuffix(line, "\n"))
		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
			content = style.paint(bold, content)
		case strings.HasPrefix(line, "-"):
			content = style.paint(red, content)
		case strings.HasPrefix(line, "+"):
			content = style.paint(green, content)
		}
		text.WriteString(content + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// EncodeText returns value as JSON or YAML.
func EncodeText(format Format, value any) (string, error) {
	var text strings.Builder
	err := Encode(&text, format, value)
	return text.String(), err
}
