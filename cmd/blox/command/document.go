package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes exceeds the largest request that the API accepts.
const maxFileBytes = 4 << 20

// readDocument reads a JSON or YAML object.
func readDocument(name string, in io.Reader) (map[string]any, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	body, err := io.ReadAll(io.LimitReader(in, maxFileBytes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var document map[string]any
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) { // YAML forbids tabs between JSON's tokens
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if err = decoder.Decode(&document); err == nil {
			err = requireEOF(decoder.Decode(new(any)))
		}
	} else {
		decoder := yaml.NewDecoder(bytes.NewReader(body))
		if err = decoder.Decode(&document); err == nil {
			err = requireEOF(decoder.Decode(new(yaml.Node)))
		} else if errors.Is(err, io.EOF) {
			err = nil // reported below as empty
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: not a JSON or YAML object: %w", name, err)
	case document == nil:
		return nil, fmt.Errorf("%s is empty", name)
	}
	return document, nil
}

// requireEOF turns the result of decoding past a document into an error unless it was the end of the input.
func requireEOF(next error) error {
	switch {
	case next == nil:
		return errors.New("more than one document")
	case errors.Is(next, io.EOF):
		return nil
	}
	return next
}

// setField sets the field at a path, such as a.b.c, and creates the objects around it.
func setField(document map[string]any, path string, value any) {
	first, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		document[first] = value
		return
	}
	inner, is := document[first].(map[string]any)
	if !is {
		inner = map[string]any{}
		document[first] = inner
	}
	setField(inner, rest, value)
}

// removeField removes the field at a path and returns its value.
func removeField(document map[string]any, path string) any {
	first, rest, deeper := strings.Cut(path, ".")
	if deeper {
		inner, _ := document[first].(map[string]any)
		return removeField(inner, rest)
	}
	value := document[first]
	delete(document, first)
	return value
}
