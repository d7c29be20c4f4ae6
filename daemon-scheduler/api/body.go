package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	apierrors "github.com/go-openapi/errors"
	"github.com/go-openapi/strfmt"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// readBody reads a body, whatever its Content-Type says.
func readBody(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if len(data) == 0 {
		return nil, &invalid{"The body is empty: an environment in JSON is required"}
	}
	return data, nil
}

// readRequest reads and validates the body of a request to create. What it does not know is ignored, as v0.3 does.
func readRequest(body io.Reader) (models.CreateEnvironmentRequest, error) {
	var asked models.CreateEnvironmentRequest
	data, err := readBody(body)
	if err != nil {
		return asked, err
	}
	if err := json.Unmarshal(data, &asked); err != nil {
		return asked, notAnEnvironment(err)
	}
	whole, err := generic(data)
	if err != nil {
		return asked, notAnEnvironment(err)
	}
	return asked, validate(asked.Validate(strfmt.Default), nulls(whole)...)
}

// notAnEnvironment says what is wrong with a body that cannot be decoded.
func notAnEnvironment(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return &invalid{fmt.Sprintf("The body is not an environment: %s must not be of type %s", cmp.Or(wrong.Field, "it"), wrong.Value)}
	}
	return &invalid{"The body is not JSON: " + err.Error()}
}

// readPatch is what the environment wants once the body, a JSON merge patch, is applied to it.
func readPatch(body io.Reader, e environment.Environment) (*models.UpdateEnvironmentRequest, error) {
	data, err := readBody(body)
	if err != nil {
		return nil, err
	}
	patch, err := generic(data)
	if err != nil {
		return nil, &invalid{"The body is not JSON: " + err.Error()}
	}
	if _, object := patch.(map[string]any); !object {
		return nil, &invalid{"The body is not an environment: it must be an object"}
	}
	before, err := json.Marshal(edit(e))
	if err != nil {
		return nil, fmt.Errorf("encode environment %s: %w", e.Name, err)
	}
	present, err := generic(before)
	if err != nil {
		return nil, fmt.Errorf("decode environment %s: %w", e.Name, err)
	}
	if unknown := strangers(patch, reflect.TypeFor[models.UpdateEnvironmentRequest]()); len(unknown) > 0 {
		return nil, &invalid{failures(unknown)}
	}
	merged, err := json.Marshal(merge(present, patch))
	if err != nil {
		return nil, fmt.Errorf("encode environment %s: %w", e.Name, err)
	}
	var asked models.UpdateEnvironmentRequest
	if err := json.Unmarshal(merged, &asked); err != nil {
		return nil, notAnEnvironment(err)
	}
	more := nulls(patch)
	if asked.TaskDefinition == "" {
		more = append(more, "taskDefinition in body is required")
	}
	if g := asked.InstanceGroup; g != nil && g.Cluster != "" && g.Cluster != e.Cluster {
		more = append(more, "instanceGroup.cluster in body cannot be changed")
	}
	return &asked, validate(asked.Validate(strfmt.Default), more...)
}

func generic(data []byte) (v any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the first value")
	}
	return v, nil
}

// mostFailures is how many lines a refusal has: a body of 1 MiB could have a hundred thousand, each as long as itself.
const mostFailures = 20

// walk looks for what is wrong with the parts of a body.
type walk struct {
	path  []string // to where it is
	lines []string // a line each of what was found, and one more than told at most
}

// within goes one step down.
func (w *walk) within(step string, look func()) {
	if len(w.lines) > mostFailures {
		return
	}
	w.path = append(w.path, step)
	look()
	w.path = w.path[:len(w.path)-1]
}

func (w *walk) found(what string) {
	steps := make([]string, len(w.path))
	for i, step := range w.path {
		steps[i] = fmt.Sprintf("%.100s", step)
	}
	w.lines = append(w.lines, fmt.Sprintf("%.1000s in body %s", strings.Join(steps, "."), what))
}

// strangers are the fields of v that a model of that type has not: JSON would ignore them, and the case of the others.
func strangers(v any, of reflect.Type) []string {
	var w walk
	w.strangers(v, of)
	return w.lines
}

func (w *walk) strangers(v any, of reflect.Type) {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			if of.Kind() == reflect.Slice {
				w.within(strconv.Itoa(i), func() { w.strangers(item, of.Elem()) })
			}
		}
	case map[string]any:
		if of.Kind() != reflect.Struct {
			return // of a wrong type, which is told in other words
		}
		fields := map[string]reflect.Type{}
		for _, field := range reflect.VisibleFields(of) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			fields[name] = field.Type
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			w.within(key, func() {
				if field, known := fields[key]; known {
					w.strangers(v[key], field)
				} else {
					w.found("is a forbidden property")
				}
			})
		}
	}
}

// nulls are the items of lists in v that are null, which a model takes for nothing wrong.
func nulls(v any) []string {
	var w walk
	w.nulls(v)
	return w.lines
}

func (w *walk) nulls(v any) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			w.within(strconv.Itoa(i), func() {
				if item == nil {
					w.found("must not be null")
				}
				w.nulls(item)
			})
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			w.within(key, func() { w.nulls(v[key]) })
		}
	}
}

// merge applies a JSON merge patch, RFC 7396.
func merge(target, patch any) any {
	changes, object := patch.(map[string]any)
	if !object {
		return patch
	}
	into, object := target.(map[string]any)
	if !object {
		into = map[string]any{}
	}
	for key, change := range changes {
		if change == nil {
			delete(into, key)
		} else {
			into[key] = merge(into[key], change)
		}
	}
	return into
}

// validate makes what is wrong with a request one list, in v0.3's form; nil when there is nothing.
func validate(err error, more ...string) error {
	if lines := append(leaves(err), more...); len(lines) > 0 {
		return &invalid{failures(lines)}
	}
	return nil
}

func failures(lines []string) string {
	if len(lines) > mostFailures {
		lines = append(lines[:mostFailures:mostFailures], "and more")
	}
	return "validation failure list:\n" + strings.Join(lines, "\n")
}

func leaves(err error) (lines []string) {
	var several *apierrors.CompositeError
	switch {
	case err == nil:
	case errors.As(err, &several):
		for _, one := range several.Errors {
			lines = append(lines, leaves(one)...)
		}
	default:
		lines = append(lines, err.Error())
	}
	return lines
}
