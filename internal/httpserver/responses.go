package httpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/sirupsen/logrus"
)

// ContentTypeJSON is the Content-Type of every JSON answer.
const ContentTypeJSON = "application/json; charset=UTF-8"

const (
	bodyTooLarge = "The body is larger than 1 MiB"
	bodyTooSlow  = "The body did not arrive in time"
)

// JSON answers with v as one JSON value and a newline. A v that cannot be encoded is a mistake in the program: it panics.
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
	_, _ = w.Write(body.Bytes()) // a client that has left
}

// Error answers with text and a newline, as plain text. 503 asks the client to come again in a second.
func Error(w http.ResponseWriter, status int, text string) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, text, status)
}

// SpecHandler serves an API's own description, a JSON document.
func SpecHandler(spec []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ContentTypeJSON)
		w.Header().Set("Content-Length", strconv.Itoa(len(spec)))
		_, _ = w.Write(spec)
	})
}

// ErrorResponse is what clients are told of an error.
type ErrorResponse struct {
	Err    error  // matches by errors.Is
	Status int    // as in http.StatusNotFound
	Text   string // when empty, the words of the innermost error that matches, without what layers have put around it
}

// ErrorTable is all that the clients of an API are ever told of errors: the first of Known that matches; 413 and 408 for
// a body that Serve's limits have cut off; else Unexpected.
type ErrorTable struct {
	Responses  []ErrorResponse
	Unexpected string // the text of 500, for every other error, which is logged
	Log        logrus.FieldLogger
}

// Respond answers r with what a knows of err.
func (a ErrorTable) Respond(w http.ResponseWriter, r *http.Request, err error) {
	status, text, known := a.find(err)
	if !known {
		log := a.Log.WithError(err).WithFields(logrus.Fields{"method": r.Method, "path": r.URL.Path})
		if r.Context().Err() != nil { // the client has left, or the server stops
			log.Debug("request ended early")
		} else {
			log.Error("request failed")
		}
	} else if status >= http.StatusInternalServerError && r.Context().Err() == nil {
		a.Log.WithError(err).WithFields(logrus.Fields{"method": r.Method, "path": r.URL.Path}).Info("cannot answer")
	}
	Error(w, status, text)
}

func (a ErrorTable) find(err error) (status int, text string, known bool) {
	for _, answer := range a.Responses {
		if errors.Is(err, answer.Err) {
			if answer.Text == "" {
				return answer.Status, innermost(err, answer.Err).Error(), true
			}
			return answer.Status, answer.Text, true
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, bodyTooLarge, true
	case errors.Is(err, errBodyTooSlow):
		return http.StatusRequestTimeout, bodyTooSlow, true
	}
	return http.StatusInternalServerError, a.Unexpected, false
}

// innermost is the last error in err's chain that still is target.
func innermost(err, target error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !errors.Is(inner, target) {
			return err
		}
		err = inner
	}
}
