package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// ParseFile reads the sources in YAML or JSON: {sources: [{region, role, external-id, queue}, …]}.
func ParseFile(text []byte) ([]Spec, error) {
	var file struct {
		Sources []Spec `yaml:"sources"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	if len(file.Sources) == 0 { // also an empty file, which may still be being written
		return nil, errors.New("no sources")
	}
	for i, spec := range file.Sources {
		if err := spec.validate(); err != nil {
			return nil, fmt.Errorf("sources[%d]: %w", i, err)
		}
	}
	return file.Sources, Validate(file.Sources)
}
