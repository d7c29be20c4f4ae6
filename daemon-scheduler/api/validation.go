package api

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	apierrors "github.com/go-openapi/errors"

	"github.com/blox/blox/internal/httpserver"
)

// maxFailures limits the lines of an error. A body of 1 MiB could cause 100,000 lines, each as long as the body.
const maxFailures = 20

// bodyWalker collects the failures of a decoded body.
type bodyWalker struct {
	path     []string // keys and indexes from the root to the present value
	failures []string // one line each; at most one more than maxFailures
}

// descend calls visit for the value at key, unless there are too many failures already.
func (w *bodyWalker) descend(key string, visit func()) {
	if len(w.failures) > maxFailures {
		return
	}
	w.path = append(w.path, key)
	visit()
	w.path = w.path[:len(w.path)-1]
}

func (w *bodyWalker) addFailure(problem string) {
	keys := make([]string, len(w.path))
	for i, key := range w.path {
		keys[i] = fmt.Sprintf("%.100s", key)
	}
	w.failures = append(w.failures, fmt.Sprintf("%.1000s in body %s", strings.Join(keys, "."), problem))
}

// unknownFields returns a failure for each field of v that the model lacks. Names are case-sensitive. Package json
// would ignore unknown fields and accept any case.
func unknownFields(v any, model reflect.Type) []string {
	var w bodyWalker
	w.unknownFields(v, model)
	return w.failures
}

func (w *bodyWalker) unknownFields(v any, model reflect.Type) {
	for model.Kind() == reflect.Pointer {
		model = model.Elem()
	}
	switch v := v.(type) {
	case []any:
		if model.Kind() != reflect.Slice {
			return // decoding reports the wrong type
		}
		for i, item := range v {
			w.descend(strconv.Itoa(i), func() { w.unknownFields(item, model.Elem()) })
		}
	case map[string]any:
		if model.Kind() != reflect.Struct {
			return // decoding reports the wrong type
		}
		fields := jsonFields(model)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			w.descend(key, func() {
				if field, ok := fields[key]; ok {
					w.unknownFields(v[key], field)
				} else {
					w.addFailure("is a forbidden property")
				}
			})
		}
	}
}

// jsonFields returns the types of a struct's fields by their names in JSON.
func jsonFields(model reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(model) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields[name] = field.Type
	}
	return fields
}

// nullItems returns a failure for each list item in v that is null. The models accept such items.
func nullItems(v any) []string {
	var w bodyWalker
	w.nullItems(v)
	return w.failures
}

func (w *bodyWalker) nullItems(v any) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			w.descend(strconv.Itoa(i), func() {
				if item == nil {
					w.addFailure("must not be null")
				}
				w.nullItems(item)
			})
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			w.descend(key, func() { w.nullItems(v[key]) })
		}
	}
}

// validate returns one error for err and the other failures, in v0.3's form; nil if there are none.
func validate(err error, failures ...string) error {
	if all := append(failureLines(err), failures...); len(all) > 0 {
		return invalidBody(all)
	}
	return nil
}

// invalidBody returns the error of a body with these failures, one line each.
func invalidBody(failures []string) error {
	return &invalid{text: failureText(failures), details: httpserver.Details{Failures: failures}}
}

func failureText(failures []string) string {
	if len(failures) > maxFailures {
		failures = append(failures[:maxFailures:maxFailures], "and more")
	}
	return "validation failure list:\n" + strings.Join(failures, "\n")
}

// failureLines returns a line for each error that err combines.
func failureLines(err error) (lines []string) {
	var composite *apierrors.CompositeError
	switch {
	case err == nil:
	case errors.As(err, &composite):
		for _, child := range composite.Errors {
			lines = append(lines, failureLines(child)...)
		}
	default:
		lines = append(lines, err.Error())
	}
	return lines
}
