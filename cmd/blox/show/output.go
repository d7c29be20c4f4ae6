package show

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/theory/jsonpath"
)

// jsonPathPrefix begins the format that prints what a JSONPath selects.
const jsonPathPrefix = "jsonpath="

// Output is the format of results and what goes with it.
type Output struct {
	Format    Format
	Wide      bool   // every column, whole ARNs and full texts
	Path      string // of the format JSONPath
	NoHeaders bool
	SortBy    string // heading of a column; empty for the order of the service
	UTC       bool   // times in UTC instead of the machine's zone
}

// ParseFormat sets the format, such as "json", "wide" or "jsonpath={.items[*].name}".
func (o *Output) ParseFormat(text string) error {
	path, isPath := strings.CutPrefix(text, jsonPathPrefix)
	switch format := Format(text); {
	case isPath:
		o.Format, o.Path = JSONPath, path
		_, err := parsePath(path)
		return err
	case format == wide:
		o.Format, o.Wide = Table, true
	case format == Table, format == JSON, format == YAML, format == Name:
		o.Format = format
	default:
		return fmt.Errorf("must be one of %s", strings.Join(Formats, ", "))
	}
	return nil
}

// parsePath parses a JSONPath of RFC 9535. The leading $ may be missing, and kubectl's braces may surround the path.
func parsePath(text string) (*jsonpath.Path, error) {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "[") {
		text = "$" + text
	}
	path, err := jsonpath.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("invalid JSONPath, such as {.items[*].name}: %w", err)
	}
	return path, nil
}

// writePath writes what the path selects from value, one line each: text as it is, other values as JSON.
func (o *Output) writePath(out io.Writer, value any) error {
	path, err := parsePath(o.Path)
	if err != nil {
		return err
	}
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	var data any
	if err := json.Unmarshal(body, &data); err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	var lines strings.Builder
	for selected := range path.Select(data).All() {
		text, is := selected.(string)
		if !is {
			body, err := json.Marshal(selected)
			if err != nil {
				return fmt.Errorf("encode JSON: %w", err)
			}
			text = string(body)
		}
		lines.WriteString(text + "\n")
	}
	_, err = io.WriteString(out, lines.String())
	return err
}

// Structured reports whether programs read the output, so that it has no text for people.
func (o *Output) Structured() bool {
	return o.Format == JSON || o.Format == YAML || o.Format == JSONPath
}

// Encode writes value in a structured format.
func (o *Output) Encode(out io.Writer, value any) error {
	if o.Format == JSONPath {
		return o.writePath(out, value)
	}
	return Encode(out, o.Format, value)
}

// EncodeLine writes a JSON value, one of many, in a structured format.
func (o *Output) EncodeLine(out io.Writer, value []byte) error {
	if o.Format == JSONPath {
		return o.writePath(out, json.RawMessage(value))
	}
	return EncodeLine(out, o.Format, value)
}
