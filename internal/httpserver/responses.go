package httpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/sirupsen/logrus"
)

// ContentTypeJSON is the Content-Type of every JSON response.
const ContentTypeJSON = "application/json; charset=UTF-8"

const (
	bodyTooLarge = "The body is larger than 1 MiB"
	bodyTooSlow  = "The body did not arrive in time"
)

// JSON responds with v as one JSON value and a newline. It panics if v cannot be encoded, which is a programming error.
func JSON(w http.ResponseWriter, status int, v any) { WriteJSON(w, status, EncodeJSON(v)) }

// EncodeJSON returns v as one JSON value and a newline. It panics like JSON.
func EncodeJSON(v any) []byte {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return body.Bytes()
}

// WriteJSON responds with an encoded JSON value.
func WriteJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", ContentTypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only if the client has left
}

// SpecHandler serves an API's OpenAPI document.
func SpecHandler(spec []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ContentTypeJSON)
		w.Header().Set("Content-Length", strconv.Itoa(len(spec)))
		_, _ = w.Write(spec)
	})
}

// ErrorResponse maps an error to the response that clients get.
type ErrorResponse struct {
	Err    error  // matches by errors.Is
	Status int    // as in http.StatusNotFound
	Code   string // see Problem
	Hint   string // see Problem
	Text   string // if empty, the text of the innermost matching error, without the operations that wrap it
	// RetryAfter is the value of Retry-After, in seconds; 0: see Error.
	RetryAfter int
}

// ErrorTable maps errors to responses; clients learn nothing else about errors. The first match of Responses applies,
// then 413 and 408 for a body that exceeds Serve's limits, then 500 with the text of Unexpected.
type ErrorTable struct {
	Responses  []ErrorResponse
	Unexpected string // the text of 500 for all other errors, which are logged
	// Details returns which part of the request err is about; nil for none.
	Details func(err error) Details
	Log     logrus.FieldLogger
}

// Respond responds to r with the table's response to err.
func (t ErrorTable) Respond(w http.ResponseWriter, r *http.Request, err error) {
	problem, known := t.find(err)
	ended := r.Context().Err() != nil // the client has left, or the server stops
	log := RequestLog(t.Log, r).WithError(err).WithFields(logrus.Fields{"method": r.Method, "path": r.URL.Path})
	switch {
	case !known && ended:
		log.Debug("request ended early")
	case !known:
		log.Error("request failed")
	case problem.Status >= http.StatusInternalServerError && !ended:
		log.Info("request rejected")
	}
	Error(w, r, problem)
}

func (t ErrorTable) find(err error) (p Problem, known bool) {
	for _, response := range t.Responses {
		if !errors.Is(err, response.Err) {
			continue
		}
		p = Problem{
			Status: response.Status, Code: response.Code, Hint: response.Hint, Detail: response.Text,
			RetryAfter: response.RetryAfter,
		}
		if p.Detail == "" {
			p.Detail = innermost(err, response.Err).Error()
		}
		if t.Details != nil {
			p.Details = t.Details(err)
		}
		return p, true
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return problemTooLarge, true
	case errors.Is(err, errBodyTooSlow):
		return Problem{Status: http.StatusRequestTimeout, Code: CodeBodyTooSlow, Detail: bodyTooSlow}, true
	}
	return internalError(t.Unexpected), false
}

var problemTooLarge = Problem{
	Status: http.StatusRequestEntityTooLarge, Code: CodeBodyTooLarge, Detail: bodyTooLarge,
}

func internalError(text string) Problem {
	return Problem{
		Status: http.StatusInternalServerError, Code: CodeInternal, Detail: text,
		Hint: "The service's log has the cause, with the ID of the request.",
	}
}

// innermost returns the last error in err's chain that still matches target.
func innermost(err, target error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !errors.Is(inner, target) {
			return err
		}
		err = inner
	}
}
