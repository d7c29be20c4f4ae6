package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// decodeJSON returns the value of a JSON text, with numbers as json.Number. It rejects an object with two equal keys.
func decodeJSON(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	value, err := nextValue(decoder, "")
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value: use YAML documents or a list")
	}
	return value, nil
}

// nextValue decodes the next value, at path.
func nextValue(decoder *json.Decoder, path string) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			name, _ := key.(string)
			if _, twice := object[name]; twice {
				return nil, fmt.Errorf("field %s is given twice", join(path, name))
			}
			if object[name], err = nextValue(decoder, join(path, name)); err != nil {
				return nil, err
			}
		}
		_, err = decoder.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for n := 0; decoder.More(); n++ {
			value, err := nextValue(decoder, fmt.Sprintf("%s[%d]", path, n))
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = decoder.Token()
		return list, err
	}
	return token, nil
}

// jsonValue returns a value of YAML, at path, as decodeJSON would.
func jsonValue(value any, path string) (any, error) {
	var err error
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			if value[key], err = jsonValue(value[key], join(path, key)); err != nil {
				return nil, err
			}
		}
		return value, nil
	case map[any]any: // YAML's type of an object with a key that is not text
		text := map[string]any{}
		for key := range value {
			name, is := key.(string)
			if !is {
				return nil, fmt.Errorf("field %s must be text: put the name in quotes", join(path, fmt.Sprint(key)))
			}
			text[name] = value[key]
		}
		return jsonValue(text, path)
	case []any:
		for n := range value {
			if value[n], err = jsonValue(value[n], fmt.Sprintf("%s[%d]", path, n)); err != nil {
				return nil, err
			}
		}
		return value, nil
	case int, int64, uint64:
		return json.Number(fmt.Sprint(value)), nil
	case float64:
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return nil, fmt.Errorf("%s is %v, must be a finite number", path, value)
		}
		body, err := json.Marshal(value)
		return json.Number(body), err
	case time.Time: // YAML's type of an unquoted date
		return nil, fmt.Errorf("%s is a date: put it in quotes", path)
	}
	return value, nil
}

// join returns the path of a field.
func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// kindOf names the kind of a value.
func kindOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "text"
	case bool:
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("the number %v", value)
}
