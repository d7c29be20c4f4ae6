package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	apierrors "github.com/go-openapi/errors"
	"github.com/go-openapi/strfmt"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// readBody reads a body whatever its Content-Type is.
func readBody(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if len(data) == 0 {
		return nil, &invalid{text: "The body is empty: an environment in JSON is required"}
	}
	return data, nil
}

// readRequest reads and validates the body of a request to create. It ignores unknown fields, as v0.3 does. It calls
// complete before it validates required fields.
func readRequest(
	body io.Reader, complete func(*models.CreateEnvironmentRequest) error,
) (models.CreateEnvironmentRequest, error) {
	var request models.CreateEnvironmentRequest
	data, err := readBody(body)
	if err != nil {
		return request, err
	}
	if err := json.Unmarshal(data, &request); err != nil {
		return request, decodeError(err)
	}
	document, err := decodeAny(data)
	if err != nil {
		return request, decodeError(err)
	}
	if err := complete(&request); err != nil {
		return request, err
	}
	failed := request.Validate(strfmt.Default)
	if g := request.InstanceGroup; g != nil && g.Cluster == "" { // v0.3's swagger file does not require it
		missing := apierrors.Required("instanceGroup.cluster", "body", g.Cluster)
		failed = apierrors.CompositeValidationError(missing, failed)
	}
	return request, validate(failed, nullItems(document)...)
}

// readPatch applies the body, a JSON merge patch, to e's newest revision. It returns the validated result.
func readPatch(body io.Reader, e environment.Environment) (*models.UpdateEnvironmentRequest, error) {
	data, err := readBody(body)
	if err != nil {
		return nil, err
	}
	patch, err := decodeAny(data)
	if err != nil {
		return nil, notJSON(err)
	}
	if _, ok := patch.(map[string]any); !ok {
		return nil, &invalid{text: "The body is not an environment: it must be an object"}
	}
	if unknown := unknownFields(patch, reflect.TypeFor[models.UpdateEnvironmentRequest]()); len(unknown) > 0 {
		return nil, invalidBody(unknown)
	}
	merged, err := applyPatch(patch, e)
	if err != nil {
		return nil, err
	}
	var request models.UpdateEnvironmentRequest
	if err := json.Unmarshal(merged, &request); err != nil {
		return nil, decodeError(err)
	}
	failures := nullItems(patch)
	if request.TaskDefinition == "" {
		failures = append(failures, "taskDefinition in body is required")
	}
	if g := request.InstanceGroup; g != nil && g.Cluster != "" && g.Cluster != e.Cluster {
		failures = append(failures, "instanceGroup.cluster in body cannot be changed")
	}
	return &request, validate(request.Validate(strfmt.Default), failures...)
}

// applyPatch returns the JSON of e's newest revision with patch applied.
func applyPatch(patch any, e environment.Environment) ([]byte, error) {
	data, err := json.Marshal(editableSpec(e))
	if err != nil {
		return nil, fmt.Errorf("encode environment %s: %w", e.Name, err)
	}
	current, err := decodeAny(data)
	if err != nil {
		return nil, fmt.Errorf("decode environment %s: %w", e.Name, err)
	}
	merged, err := json.Marshal(merge(current, patch))
	if err != nil {
		return nil, fmt.Errorf("encode patched environment %s: %w", e.Name, err)
	}
	return merged, nil
}

// merge applies a JSON merge patch, RFC 7396.
func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged, ok := target.(map[string]any)
	if !ok {
		merged = map[string]any{}
	}
	for key, change := range changes {
		if change == nil {
			delete(merged, key)
		} else {
			merged[key] = merge(merged[key], change)
		}
	}
	return merged
}

// decodeAny decodes one JSON value. It keeps numbers as they are written.
func decodeAny(data []byte) (v any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("unexpected data after the first value")
	}
	return v, nil
}

// decodeError explains to the client why its body cannot be decoded.
func decodeError(err error) error {
	var typeError *json.UnmarshalTypeError
	if !errors.As(err, &typeError) {
		return notJSON(err)
	}
	field := cmp.Or(typeError.Field, "it")
	return &invalid{text: fmt.Sprintf("The body is not an environment: %s must not be of type %s", field, typeError.Value)}
}

func notJSON(err error) error { return &invalid{text: "The body is not JSON: " + err.Error()} }
