package httpserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Only clients that accept problem+json by name get JSON: v0.3's accept application/json and expect text.
func TestError_RespondsInTheFormThatTheClientAccepts(t *testing.T) {
	problem := Problem{
		Status: 400, Code: "InvalidParameter", Detail: `Invalid limit "x": must be 1 to 10`, Hint: "Retry.",
		Details: Details{Parameter: "limit", Accepted: "1 to 10"},
	}
	for accept, isProblem := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/plain": false, "application/*": false,
		"application/problem+json;q=0": false, "malformed;;": false,
		"application/problem+json":                         true,
		"application/json, application/problem+json;q=0.5": true,
		"Application/Problem+JSON; charset=utf-8":          true,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(RequestIDHeader, "id-1")
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		w := httptest.NewRecorder()
		Error(w, r, problem)
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, "Accept", w.Header().Get("Vary"))
		if !isProblem {
			assert.Equal(t, problem.Detail+"\n", w.Body.String(), accept)
			assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
			continue
		}
		assert.Equal(t, ContentTypeProblem, w.Header().Get("Content-Type"), accept)
		assert.JSONEq(t, `{"type":"about:blank","title":"Bad Request","status":400,"code":"InvalidParameter",
			"detail":"Invalid limit \"x\": must be 1 to 10","hint":"Retry.","requestId":"id-1","parameter":"limit",
			"accepted":"1 to 10"}`, w.Body.String())
	}
}

func TestErrorTable_RespondsWithCodes(t *testing.T) {
	known := errors.New("known")
	log, _ := logged()
	table := ErrorTable{
		Responses:  []ErrorResponse{{Err: known, Status: 404, Code: "Known", Text: "It is gone", Hint: "Look elsewhere."}},
		Unexpected: "Server Error", Log: log,
	}
	for name, tc := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"a known one":        {known, 404, "Known"},
		"an unexpected one":  {errors.New("secret"), 500, CodeInternal},
		"a body too large":   {&http.MaxBytesError{}, 413, CodeBodyTooLarge},
		"a body that stalls": {errBodyTooSlow, 408, CodeBodyTooSlow},
	} {
		t.Run(name, func(t *testing.T) {
			p := respond(t, func(w http.ResponseWriter, r *http.Request) { table.Respond(w, r, tc.err) }, "GET")
			assert.Equal(t, tc.status, p.Status)
			assert.Equal(t, tc.code, p.Code)
			assert.NotContains(t, p.Detail, "secret")
		})
	}
}

func TestMux_ErrorsHaveCodes(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tasks", func(http.ResponseWriter, *http.Request) {})
	handler := RedirectToCleanPath(mux)
	p := respond(t, handler.ServeHTTP, "GET")
	assert.Equal(t, CodeNotFound, p.Code)
	assert.Equal(t, 404, p.Status)

	p = respond(t, func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/tasks"
		handler.ServeHTTP(w, r)
		assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	}, "POST")
	assert.Equal(t, CodeMethodNotAllowed, p.Code)
	assert.Equal(t, 405, p.Status)
}

// respond returns the problem with which a handler responds.
func respond(t *testing.T, handler http.HandlerFunc, method string) (p struct {
	Status       int
	Code, Detail string
}) {
	t.Helper()
	r := httptest.NewRequest(method, "/missing", nil)
	r.Header.Set("Accept", ContentTypeProblem)
	w := httptest.NewRecorder()
	handler(w, r)
	require.Equal(t, ContentTypeProblem, w.Header().Get("Content-Type"))
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	assert.Equal(t, w.Code, p.Status)
	return p
}
