// Package conformance validates AWS calls and their answers against the API models in the AWS SDK for Go: members,
// types, enums, required members, errors and their statuses. Tests put it before the simulator, to check the simulator
// and its clients alike.
package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Validator passes calls to a handler and validates them. Its methods are safe for concurrent use.
type Validator struct {
	next http.Handler

	mu         sync.Mutex
	counts     map[string]Count
	violations []string
}

// Count counts the calls of an action, and the requests and answers that were validated.
type Count struct {
	Requests, Answers, Errors int
}

// maxViolations limits the violations that a validator keeps.
const maxViolations = 100

// New returns a validator in front of a handler.
func New(next http.Handler) *Validator {
	return &Validator{next: next, counts: map[string]Count{}}
}

// Counts returns the counts by action, such as "ecs.StartTask".
func (v *Validator) Counts() map[string]Count {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.counts)
}

// Total returns the sum of all counts.
func (v *Validator) Total() (total Count) {
	for _, c := range v.Counts() {
		total.Requests += c.Requests
		total.Answers += c.Answers
		total.Errors += c.Errors
	}
	return total
}

// Violations returns the first violations, each once.
func (v *Validator) Violations() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.violations)
}

func (v *Validator) add(action string, found []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, text := range found {
		text = action + ": " + text
		if len(v.violations) < maxViolations && !slices.Contains(v.violations, text) {
			v.violations = append(v.violations, text)
		}
	}
}

func (v *Validator) count(action string, change func(*Count)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.counts[action]
	change(&c)
	v.counts[action] = c
}

// maxBody allows SQS's largest batch with every byte escaped.
const maxBody = 8 << 20

// ServeHTTP passes the request on, then validates it and its answer. Requests that name no action are passed on only.
func (v *Validator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s, action := serviceOf(r, body)
	if s == nil {
		v.next.ServeHTTP(w, r)
		return
	}
	answer := &recorder{ResponseWriter: w, status: http.StatusOK}
	v.next.ServeHTTP(answer, r)
	v.validate(s, action, body, answer)
}

func (v *Validator) validate(s *service, action string, body []byte, answer *recorder) {
	name := s.name + "." + action
	input, output, known := s.operation(action)
	if !known {
		v.count(name, func(c *Count) { c.Requests++ })
		v.add(name, []string{"no operation of the API"})
		return
	}
	failed := answer.status >= http.StatusBadRequest
	v.count(name, func(c *Count) {
		c.Requests++
		switch {
		case answer.body.Len() == 0: // the answer was lost
		case failed:
			c.Errors++
		default:
			c.Answers++
		}
	})
	if !failed { // a refused request may be invalid
		v.add(name+" request", s.validateRequest(action, input, body))
	}
	switch {
	case answer.body.Len() == 0:
	case failed:
		v.add(name+" error", s.validateError(action, answer))
	default:
		found := s.validateHeader(answer)
		value, err := s.protocol.decode(answer.body.Bytes())
		if err != nil {
			found = append(found, err.Error())
		} else {
			check := checker{service: s}
			check.value("", value, output)
			found = append(found, check.found...)
		}
		v.add(name+" answer", found)
	}
}

// serviceOf returns the service and the action of a request; nil if it names none.
func serviceOf(r *http.Request, body []byte) (*service, string) {
	target := r.Header.Get("X-Amz-Target")
	for _, s := range services {
		if action, ok := strings.CutPrefix(target, s.target); ok && s.target != "" {
			return s, action
		}
		if action, ok := strings.CutPrefix(r.URL.Path, s.path); ok && s.path != "" {
			return s, action
		}
		if s.form && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			return s, formValue(body, "Action")
		}
	}
	return nil, ""
}

// recorder copies an answer.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}

// validateHeader checks the headers that SDKs rely on.
func (s *service) validateHeader(answer *recorder) (found []string) {
	if got := answer.Header().Get("Content-Type"); got != s.contentType {
		found = append(found, fmt.Sprintf("content type %q is not %q", got, s.contentType))
	}
	return found
}

// decodeJSON decodes without losing the precision of numbers.
func decodeJSON(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	return value, nil
}
