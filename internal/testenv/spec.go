package testenv

import (
	"encoding/json"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/go-openapi/loads"
	"github.com/go-openapi/spec"
	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Spec is a swagger file against which tests validate responses.
type Spec struct{ swagger *spec.Swagger }

// NewSpec parses and validates a swagger file. It takes seconds, so a package should call it once.
func NewSpec(raw []byte) (*Spec, error) {
	document, err := loads.Analyzed(raw, "2.0")
	if err != nil {
		return nil, err
	}
	if err := validate.Spec(document, strfmt.Default); err != nil {
		return nil, err
	}
	expanded, err := document.Expanded()
	if err != nil {
		return nil, err
	}
	return &Spec{swagger: expanded.Spec()}, nil
}

// Operations returns the ids of all operations.
func (s *Spec) Operations() []string {
	var ids []string
	for _, item := range s.swagger.Paths.Paths {
		for _, operation := range operations(item) {
			if operation != nil {
				ids = append(ids, operation.ID)
			}
		}
	}
	return ids
}

// Paths returns the methods of the operations of each path, base path included.
func (s *Spec) Paths() map[string][]string {
	paths := map[string][]string{}
	for path, item := range s.swagger.Paths.Paths {
		for method, operation := range operations(item) {
			if operation != nil {
				paths[s.swagger.BasePath+path] = append(paths[s.swagger.BasePath+path], method)
			}
		}
	}
	return paths
}

// CheckStatus fails the test if the request is one of an operation for which the specification declares no response
// with the status.
func (s *Spec) CheckStatus(tb testing.TB, r *http.Request, status int) {
	tb.Helper()
	operation := s.findOperation(r)
	if operation == nil || status < http.StatusOK || r.URL.Path != path.Clean(r.URL.Path) { // a redirect to the clean path
		return
	}
	_, found := operation.Responses.StatusCodeResponses[status]
	assert.True(tb, found, "%s declares no response %d", operation.ID, status)
}

func operations(item spec.PathItem) map[string]*spec.Operation {
	return map[string]*spec.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPatch: item.Patch, http.MethodPut: item.Put,
		http.MethodDelete: item.Delete,
	}
}

// CheckResponse fails the test unless the specification declares the operation and the status, and the body matches the
// schema. It returns the id of the operation.
func (s *Spec) CheckResponse(tb testing.TB, answer *http.Response, body []byte) string {
	tb.Helper()
	operation := s.requireOperation(tb, answer.Request)
	response, found := operation.Responses.StatusCodeResponses[answer.StatusCode]
	if !assert.True(tb, found, "%s declares no response %d", operation.ID, answer.StatusCode) {
		return operation.ID
	}
	if response.Schema == nil {
		assert.Empty(tb, string(body), "%s declares no body", operation.ID)
		return operation.ID
	}
	if response.Schema.Type.Contains("string") { // plain text, or a stream
		return operation.ID
	}
	media, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	assert.NoError(tb, err)
	assert.Equal(tb, "application/json", media)
	var value any
	require.NoError(tb, json.Unmarshal(body, &value), "%s", body)
	assert.NoError(
		tb, validate.AgainstSchema(response.Schema, value, strfmt.Default), "%s %d: %s", operation.ID, answer.StatusCode,
		body,
	)
	return operation.ID
}

// HasOperation reports whether the specification has an operation for the request.
func (s *Spec) HasOperation(r *http.Request) bool { return s.findOperation(r) != nil }

// CheckDefinition fails the test unless the JSON text matches a definition of the specification.
func (s *Spec) CheckDefinition(tb testing.TB, definition string, text []byte) {
	tb.Helper()
	schema, found := s.swagger.Definitions[definition]
	require.True(tb, found, definition)
	var value any
	require.NoError(tb, json.Unmarshal(text, &value), "%s", text)
	assert.NoError(tb, validate.AgainstSchema(&schema, value, strfmt.Default), "%s: %s", definition, text)
}

var parameter = regexp.MustCompile(`\{[^}]+\}`)

func (s *Spec) requireOperation(tb testing.TB, r *http.Request) *spec.Operation {
	tb.Helper()
	operation := s.findOperation(r)
	require.NotNil(tb, operation, "no operation for %s %s", r.Method, r.URL.Path)
	return operation
}

// findOperation returns the operation of a request. It prefers the path with the fewest parameters; {arn} at the end of
// a path matches slashes.
func (s *Spec) findOperation(r *http.Request) *spec.Operation {
	var best *spec.Operation
	fewest := len(r.URL.Path)
	for path, item := range s.swagger.Paths.Paths {
		pattern := strings.ReplaceAll(parameter.ReplaceAllString(path, "\x00"), "\x00", "[^/]+")
		if rest, arn := strings.CutSuffix(path, "{arn}"); arn {
			pattern = parameter.ReplaceAllString(rest, "[^/]+") + ".+"
		}
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		parameters := strings.Count(path, "{")
		operation := operations(item)[method]
		if operation != nil && parameters < fewest &&
			regexp.MustCompile("^"+s.swagger.BasePath+pattern+"$").MatchString(r.URL.Path) {
			best, fewest = operation, parameters
		}
	}
	return best
}
