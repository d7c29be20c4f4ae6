package httpserver

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// ContentTypeProblem is the media type of errors for programs, RFC 9457. Only requests that accept it by name get it:
// clients of v0.3 accept application/json, and expect errors as text.
const ContentTypeProblem = "application/problem+json"

// Codes of errors that the server itself responds with, whatever the API.
const (
	CodeNotFound         = "PathNotFound"
	CodeMethodNotAllowed = "MethodNotAllowed"
	CodeCrossOrigin      = "CrossOrigin"
	CodeBodyTooLarge     = "BodyTooLarge"
	CodeBodyTooSlow      = "BodyTooSlow"
	CodeInternal         = "InternalError"
)

// Problem is an error response.
type Problem struct {
	Status int    // as in http.StatusNotFound
	Code   string // identifies the kind of error; it never changes
	Detail string // the text for people
	Hint   string // what to do next; may be empty
	// RetryAfter is the value of Retry-After, in seconds; 0: 1 with status 503, else none.
	RetryAfter int
	Details
}

// Details says which part of a request is invalid. Every field may be empty.
type Details struct {
	Parameter string   `json:"parameter,omitempty"` // name of the query parameter
	Accepted  string   `json:"accepted,omitempty"`  // what the parameter accepts
	Failures  []string `json:"failures,omitempty"`  // each problem of the body
}

// Error responds to r with the problem: as text and a newline, or in JSON if r accepts ContentTypeProblem.
func Error(w http.ResponseWriter, r *http.Request, p Problem) {
	header := w.Header()
	if p.RetryAfter == 0 && p.Status == http.StatusServiceUnavailable {
		p.RetryAfter = 1
	}
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	header.Add("Vary", "Accept")
	if !acceptsProblem(r) {
		http.Error(w, p.Detail, p.Status)
		return
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(struct { // texts and numbers encode always
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Code      string `json:"code"`
		Detail    string `json:"detail"`
		Hint      string `json:"hint,omitempty"`
		RequestID string `json:"requestId,omitempty"`
		Details
	}{
		"about:blank", http.StatusText(p.Status), p.Status, p.Code, p.Detail, p.Hint, r.Header.Get(RequestIDHeader),
		p.Details,
	})
	header.Set("Content-Type", ContentTypeProblem)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body.Bytes()) // fails only if the client has left
}

// acceptsProblem reports whether the request accepts ContentTypeProblem by name.
func acceptsProblem(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for accepted := range strings.SplitSeq(header, ",") {
			name, parameters, err := mime.ParseMediaType(accepted)
			if err != nil || name != ContentTypeProblem {
				continue
			}
			quality, err := strconv.ParseFloat(parameters["q"], 64)
			return err != nil || quality > 0
		}
	}
	return false
}

// NotFound responds that the path does not exist, as Error does.
func NotFound(w http.ResponseWriter, r *http.Request) {
	if !acceptsProblem(r) {
		w.Header().Add("Vary", "Accept")
		http.NotFound(w, r)
		return
	}
	Error(w, r, Problem{
		Status: http.StatusNotFound, Code: CodeNotFound, Detail: "There is no such path",
		Hint: "GET /v1/swagger.json lists the paths.",
	})
}

// MethodNotAllowed returns a handler that responds as Error does that the path supports only the allowed methods.
func MethodNotAllowed(allow string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		if !acceptsProblem(r) {
			w.Header().Add("Vary", "Accept")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		Error(w, r, Problem{
			Status: http.StatusMethodNotAllowed, Code: CodeMethodNotAllowed,
			Detail: "The path does not support the method " + r.Method,
			Hint:   "The header Allow lists the supported methods.",
		})
	}
}

// muxError responds to a request that no pattern of the mux matches, with the mux's status.
func muxError(w http.ResponseWriter, r *http.Request, mux http.Handler) {
	recorder := &statusRecorder{header: w.Header()}
	mux.ServeHTTP(recorder, r)
	w.Header().Del("Content-Length")
	if recorder.status == http.StatusMethodNotAllowed {
		MethodNotAllowed(w.Header().Get("Allow"))(w, r)
		return
	}
	NotFound(w, r)
}

// statusRecorder keeps the status and the header of a response, and drops its body.
type statusRecorder struct {
	header http.Header
	status int
}

func (s *statusRecorder) Header() http.Header         { return s.header }
func (s *statusRecorder) WriteHeader(status int)      { s.status = status }
func (s *statusRecorder) Write(p []byte) (int, error) { return len(p), nil }
