// Package show prints results: tables for people, JSON and YAML for programs, and progress.
package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
)

// Format is an output format.
type Format string

// Output formats. JSON, YAML and JSONPath use the API's field names.
const (
	Table    Format = "table"
	Name     Format = "name" // the first column
	JSON     Format = "json"
	YAML     Format = "yaml"
	JSONPath Format = "jsonpath"

	wide Format = "wide" // Table with Output.Wide
)

// Formats lists all formats.
var Formats = []string{
	string(Table), string(wide), string(Name), string(JSON), string(YAML), jsonPathPrefix,
}

// Style is the format and look of output.
type Style struct {
	Output
	Colour bool
	Width  int       // of the terminal in columns; 0 if output is not a terminal
	Now    time.Time // ages count to it

	sharedNames map[string]bool // of clusters, see WithClusters
}

// StyleFor returns the style for out. A terminal has a width and, unless NO_COLOR is set or TERM is dumb, colours.
func StyleFor(out io.Writer, getenv func(string) string) Style {
	file, is := out.(*os.File)
	if !is || !term.IsTerminal(int(file.Fd())) {
		return Style{Output: Output{Format: Table}, Now: time.Now()}
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	return Style{
		Output: Output{Format: Table}, Now: time.Now(),
		Colour: getenv("NO_COLOR") == "" && getenv("TERM") != "dumb", Width: width,
	}
}

// Encode writes value as JSON or YAML.
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

// EncodeLine writes value, one of many, as JSON on one line or as a YAML document.
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
	_, err := out.Write(line.Bytes()) // one write, so that an interrupted command leaves no partial line
	return err
}

func encodeJSON(value any) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return body.Bytes(), nil
}

// jsonToYAML keeps names, order and numbers unchanged.
func jsonToYAML(body []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(body, &document); err != nil { // JSON is YAML
		return nil, fmt.Errorf("encode YAML: %w", err)
	}
	useBlockStyle(&document)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("encode YAML: %w", err)
	}
	return out.Bytes(), encoder.Close()
}

// useBlockStyle removes JSON's braces and quotes. Strings that YAML 1.1 or 1.2 would parse as another type stay quoted.
func useBlockStyle(node *yaml.Node) {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
		if alone, err := yaml.Marshal(node.Value); err != nil || string(alone) != node.Value+"\n" {
			return
		}
	}
	if len(node.Content) > 0 || node.Kind == yaml.ScalarNode { // empty ones stay {} and []
		node.Style = 0
	}
	for _, child := range node.Content {
		useBlockStyle(child)
	}
}
