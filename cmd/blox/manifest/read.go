// Package manifest reads, compares and writes the documents that describe environments: the body of the API's request
// that creates one, in YAML or JSON.
package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds a file. It holds thousands of environments.
const maxFileBytes = 16 << 20

// Document describes an environment.
type Document struct {
	Source string // for people, such as "team/agents.yml, document 2"
	Fields map[string]any
}

// New returns a document of fields that a program has set.
func New(source string, fields map[string]any) (Document, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return Document{}, fmt.Errorf("%s: %w", source, err)
	}
	value, err := decodeJSON(body)
	if err != nil {
		return Document{}, fmt.Errorf("%s: %w", source, err)
	}
	decoded, _ := value.(map[string]any)
	return Document{source, decoded}, nil
}

// Name returns the environment's name; empty if the document has none.
func (d Document) Name() string {
	name, _ := d.Fields["name"].(string)
	return name
}

// Read reads the documents of files and folders, in order; "-" is stdin. A file has any number of YAML documents, or
// one JSON value. A list, or an object with items, stands for its items. In a folder, the files that end in .yml, .yaml
// or .json count, by name; subfolders count if recursive is set. Fields that only responses have are dropped.
func Read(paths []string, recursive bool, stdin io.Reader) ([]Document, error) {
	var all []Document
	for _, path := range paths {
		files, err := filesOf(path, recursive)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			documents, err := readFile(file, stdin)
			if err != nil {
				return nil, err
			}
			all = append(all, documents...)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no environment found", strings.Join(shownNames(paths), ", "))
	}
	return all, rejectDuplicates(all)
}

// filesOf returns the files of a folder, or the path itself.
func filesOf(path string, recursive bool) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutCall(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != path && (!recursive || strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case !entry.IsDir() && slices.Contains([]string{".yml", ".yaml", ".json"}, filepath.Ext(name)):
			files = append(files, name)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: no file ends in .yml, .yaml or .json", path)
	}
	return files, err
}

// withoutCall returns an error of a file without the name of the system call.
func withoutCall(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return fmt.Errorf("%s: %w", of.Path, of.Err)
	}
	return err
}

// shownNames returns the names of files for people.
func shownNames(paths []string) (names []string) {
	for _, path := range paths {
		if path == "-" {
			path = "stdin"
		}
		names = append(names, path)
	}
	return names
}

func readFile(name string, stdin io.Reader) ([]Document, error) {
	shown := shownNames([]string{name})[0]
	values, err := readValues(name, stdin)
	if err != nil {
		return nil, err
	}
	var documents []Document
	for n, value := range values {
		source := shown
		if len(values) > 1 {
			source = fmt.Sprintf("%s, document %d", shown, n+1)
		}
		found, err := expand(value, source)
		if err != nil {
			return nil, err
		}
		documents = append(documents, found...)
	}
	return documents, nil
}

// ReadObject reads a file with one object, in YAML or JSON; "-" is stdin. It need not describe an environment.
func ReadObject(name string, stdin io.Reader) (map[string]any, error) {
	shown := shownNames([]string{name})[0]
	values, err := readValues(name, stdin)
	switch {
	case err != nil:
		return nil, err
	case len(values) != 1:
		return nil, fmt.Errorf("%s holds %d documents, must hold one", shown, len(values))
	}
	object, is := values[0].(map[string]any)
	if !is {
		return nil, fmt.Errorf("%s is %s, must be an object", shown, kindOf(values[0]))
	}
	return object, nil
}

// readValues returns the values of a file, as decode does.
func readValues(name string, stdin io.Reader) ([]any, error) {
	shown, in := shownNames([]string{name})[0], stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, withoutCall(err)
		}
		defer file.Close()
		in = file
	}
	body, err := io.ReadAll(io.LimitReader(in, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", shown, err)
	}
	if len(body) > maxFileBytes {
		return nil, fmt.Errorf("%s: larger than %d MiB", shown, maxFileBytes>>20)
	}
	values, err := decode(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	return values, nil
}

// decode returns the values of a JSON or YAML file. All have JSON's types, with numbers as json.Number.
func decode(body []byte) ([]any, error) {
	if json.Valid(body) { // YAML forbids tabs between JSON's tokens
		value, err := decodeJSON(body)
		return []any{value}, err
	}
	var values []any
	for decoder := yaml.NewDecoder(bytes.NewReader(body)); ; {
		var value any
		err := decoder.Decode(&value)
		switch {
		case errors.Is(err, io.EOF):
			return values, nil
		case err != nil:
			return nil, notYAML(body, err)
		case value == nil:
			continue // an empty document, as after a trailing ---
		}
		value, err = jsonValue(value, "")
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(values)+1, err)
		}
		values = append(values, value)
	}
}

// notYAML explains a file that is not valid YAML, as JSON if it looks like JSON.
func notYAML(body []byte, err error) error {
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		_, errJSON := decodeJSON(body)
		return fmt.Errorf("neither JSON nor YAML: %w", cmp.Or(errJSON, err))
	}
	return fmt.Errorf("not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
}

// expand returns the environments of a value: the object itself, its items, or those of a list.
func expand(value any, source string) ([]Document, error) {
	list, isList := value.([]any)
	prefix := ""
	if object, is := value.(map[string]any); is {
		items, hasItems := object["items"]
		if !hasItems {
			dropObserved(object)
			return []Document{{source, object}}, nil
		}
		list, isList = items.([]any)
		prefix = "items"
		if items != nil && !isList {
			return nil, fmt.Errorf("%s: items is %s, must be a list", source, kindOf(items))
		}
	} else if !isList {
		return nil, fmt.Errorf("%s is %s, must be an object or a list of objects", source, kindOf(value))
	}
	var documents []Document
	for n, item := range list {
		fields, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: %s[%d] is %s, must be an object", source, prefix, n, kindOf(item))
		}
		dropObserved(fields)
		documents = append(documents, Document{fmt.Sprintf("%s, %s[%d]", source, prefix, n), fields})
	}
	return documents, nil
}

func rejectDuplicates(documents []Document) error {
	first := map[string]string{}
	var problems []error
	for _, d := range documents {
		name := d.Name()
		if earlier, known := first[name]; known && name != "" {
			problems = append(problems, fmt.Errorf("%s: environment %s is in %s, too", d.Source, name, earlier))
			continue
		}
		first[name] = d.Source
	}
	return errors.Join(problems...)
}
