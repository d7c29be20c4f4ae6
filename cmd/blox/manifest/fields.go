package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fieldProblems returns the unknown fields and the wrong types of a value, at path, that a request has with type t.
func fieldProblems(value any, t reflect.Type, path string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if value == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		object, is := value.(map[string]any)
		if !is {
			return []string{wrongKind(path, value, "an object")}
		}
		return objectProblems(object, t, path)
	case reflect.Slice:
		list, is := value.([]any)
		if !is {
			return []string{wrongKind(path, value, "a list")}
		}
		var problems []string
		for n, item := range list {
			problems = append(problems, fieldProblems(item, t.Elem(), fmt.Sprintf("%s[%d]", path, n))...)
		}
		return problems
	case reflect.String:
		if _, is := value.(string); !is {
			return []string{wrongKind(path, value, "text")}
		}
	case reflect.Bool:
		if _, is := value.(bool); !is {
			return []string{wrongKind(path, value, "true or false")}
		}
	case reflect.Int32, reflect.Int64:
		number, is := value.(json.Number)
		if _, err := number.Int64(); !is || err != nil {
			return []string{wrongKind(path, value, "an integer")}
		}
	}
	return nil
}

func objectProblems(object map[string]any, t reflect.Type, path string) (problems []string) {
	types := map[string]reflect.Type{}
	for n := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(n).Tag.Get("json"), ",")
		types[name] = t.Field(n).Type
	}
	for _, field := range slices.Sorted(maps.Keys(object)) {
		if of, known := types[field]; known {
			problems = append(problems, fieldProblems(object[field], of, join(path, field))...)
			continue
		}
		problem := fmt.Sprintf("unknown field %q", join(path, field))
		for name := range types {
			if strings.EqualFold(name, field) {
				problem += fmt.Sprintf(": use %q", name)
			}
		}
		problems = append(problems, problem)
	}
	return problems
}

func wrongKind(path string, value any, want string) string {
	return fmt.Sprintf("%s is %s, must be %s", path, kindOf(value), want)
}
