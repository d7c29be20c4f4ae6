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
func JSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", ContentTypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // fails only if the client has left
}

// Error responds with text and a newline, as plain text. A 503 has Retry-After: 1.
func Error(w http.ResponseWriter, status int, text string) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, text, status)
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
	Text   string // if empty, the text of the innermost matching error, without the operations that wrap it
}

// ErrorTable maps errors to responses; clients learn nothing else about errors. The first match of Responses applies,
// then 413 and 408 for a body that exceeds Serve's limits, then 500 with the text of Unexpected.
type ErrorTable struct {
	Responses  []ErrorResponse
	Unexpected string // the text of 500 for all other errors, which are logged
	Log        logrus.FieldLogger
}

// Respond responds to r with the table's response to err.
func (t ErrorTable) Respond(w http.ResponseWriter, r *http.Request, err error) {
	status, text, known := t.find(err)
	ended := r.Context().Err() != nil // the client has left, or the server stops
	log := t.Log.WithError(err).WithFields(logrus.Fields{"method": r.Method, "path": r.URL.Path})
	switch {
	case !known && ended:
		log.Debug("request ended early")
	case !known:
		log.Error("request failed")
	case status >= http.StatusInternalServerError && !ended:
		log.Info("request rejected")
	}
	Error(w, status, text)
}

func (t ErrorTable) find(err error) (status int, text string, known bool) {
	for _, response := range t.Responses {
		if errors.Is(err, response.Err) {
			if response.Text == "" {
				return response.Status, innermost(err, response.Err).Error(), true
			}
			return response.Status, response.Text, true
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, bodyTooLarge, true
	case errors.Is(err, errBodyTooSlow):
		return http.StatusRequestTimeout, bodyTooSlow, true
	}
	return http.StatusInternalServerError, t.Unexpected, false
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
