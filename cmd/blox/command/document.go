package command

import "strings"

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
