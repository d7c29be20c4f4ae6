// Package show writes what a command has to tell: as a table for people, as JSON or YAML for programs, and progress as it goes.
package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
)

// Format is a form of output.
type Format string

// The forms of output. JSON and YAML have the API's own field names.
const (
	Table Format = "table"
	JSON  Format = "json"
	YAML  Format = "yaml"
)

// Formats are all of them.
var Formats = []string{string(Table), string(JSON), string(YAML)}

// Style is what output looks like.
type Style struct {
	Format Format
	Wide   bool // every column, and nothing shortened
	Colour bool
	Width  int // of the terminal, in columns; 0 when it is none
}

// StyleFor is what suits out: colours and a width on a terminal, unless NO_COLOR is set or TERM is dumb.
func StyleFor(out io.Writer, getenv func(string) string) Style {
	file, is := out.(*os.File)
	if !is || !term.IsTerminal(int(file.Fd())) {
		return Style{Format: Table}
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	return Style{Format: Table, Colour: getenv("NO_COLOR") == "" && getenv("TERM") != "dumb", Width: width}
}

// Encode writes value, which is JSON or can be made so, in a form for programs.
func Encode(out io.Writer, format Format, value any) error {
	body, err := encodeJSON(value)
	if err != nil {
		return err
	}
	if format == YAML {
		if body, err = jsonToYAML(body); err != nil {
			return err
		}
	}
	_, err = out.Write(body)
	return err
}

// EncodeLine writes value as one of many: JSON on one line, or a YAML document.
func EncodeLine(out io.Writer, format Format, value []byte) error {
	var line bytes.Buffer
	if format == YAML {
		document, err := jsonToYAML(value)
		if err != nil {
			return err
		}
		line.WriteString("---\n")
		line.Write(document)
	} else if err := json.Compact(&line, value); err != nil {
		return err
	} else {
		line.WriteByte('\n')
	}
	_, err := out.Write(line.Bytes()) // in one piece, so that no half line is left when the command ends
	return err
}

func encodeJSON(value any) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("as JSON: %w", err)
	}
	return body.Bytes(), nil
}

// jsonToYAML keeps names, order and numbers as they are.
func jsonToYAML(body []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(body, &document); err != nil { // JSON is YAML
		return nil, fmt.Errorf("as YAML: %w", err)
	}
	block(&document)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("as YAML: %w", err)
	}
	return out.Bytes(), encoder.Close()
}

// block takes JSON's braces and quotes away; what YAML, old or new, would take for something else keeps its quotes.
func block(node *yaml.Node) {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
		if alone, err := yaml.Marshal(node.Value); err != nil || string(alone) != node.Value+"\n" {
			return
		}
	}
	if len(node.Content) > 0 || node.Kind == yaml.ScalarNode { // empty ones stay {} and []
		node.Style = 0
	}
	for _, child := range node.Content {
		block(child)
	}
}
