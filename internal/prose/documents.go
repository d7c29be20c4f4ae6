package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// proseKeys are the keys of swagger files, dashboards, alerts and templates that hold a text.
var proseKeys = map[string]bool{"description": true, "Description": true, "summary": true}

// jsonTexts returns the descriptions in a JSON document.
func jsonTexts(path string, source []byte) ([]Text, error) {
	decoder := json.NewDecoder(bytes.NewReader(source))
	var texts []Text
	for previous := json.Token(nil); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		text, isText := token.(string)
		if key, _ := previous.(string); isText && proseKeys[key] {
			line := 1 + bytes.Count(source[:decoder.InputOffset()], []byte("\n"))
			texts = append(texts, Text{Path: path, Line: line, Kind: other, Text: text})
		}
		previous = token
	}
}

// yamlTexts returns the descriptions in a YAML document.
func yamlTexts(path string, source []byte) ([]Text, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(source, &document); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return appendYAMLTexts(nil, path, &document), nil
}

func appendYAMLTexts(texts []Text, path string, node *yaml.Node) []Text {
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 {
			if key := node.Content[i-1]; proseKeys[key.Value] && child.Kind == yaml.ScalarNode {
				texts = append(texts, Text{Path: path, Line: key.Line, Kind: other, Text: child.Value})
			}
		}
		texts = appendYAMLTexts(texts, path, child)
	}
	return texts
}

var (
	scriptComment = regexp.MustCompile(`(?m)(^|\s)//.*$`)
	scriptLiteral = regexp.MustCompile("'(?:[^'\\\\\n]|\\\\.)*'|\"(?:[^\"\\\\\n]|\\\\.)*\"|`(?:[^`\\\\]|\\\\.)*`")
	scriptValue   = regexp.MustCompile(`\$\{[^}]*\}`)
)

// scriptTexts returns the texts in the literals of a page's script.
func scriptTexts(path string, source []byte) ([]Text, error) {
	blank := func(comment []byte) []byte { return bytes.Repeat([]byte(" "), len(comment)) }
	source = scriptComment.ReplaceAllFunc(source, blank)
	var texts []Text
	for _, span := range scriptLiteral.FindAllIndex(source, -1) {
		literal := string(source[span[0]+1 : span[1]-1])
		literal = scriptValue.ReplaceAllString(strings.ReplaceAll(literal, `\'`, "'"), "%s")
		line := 1 + bytes.Count(source[:span[0]], []byte("\n"))
		texts = append(texts, Text{Path: path, Line: line, Kind: other, Text: literal})
	}
	return texts, nil
}
