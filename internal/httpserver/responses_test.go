package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
)

func TestJSON_WritesOneLine(t *testing.T) {
	w := httptest.NewRecorder()
	JSON(w, http.StatusOK, map[string]string{"a": "<1 & 2>"})
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "application/json; charset=UTF-8", w.Header().Get("Content-Type"))
	assert.Equal(t, "16", w.Header().Get("Content-Length"))
	assert.Equal(t, `{"a":"<1 & 2>"}`+"\n", w.Body.String())
	assert.Panics(t, func() { JSON(w, http.StatusOK, func() {}) })
}

func TestError_WritesPlainText(t *testing.T) {
	w := httptest.NewRecorder()
	Error(w, httptest.NewRequest("GET", "/", nil), Problem{Status: http.StatusNotFound, Detail: "Task not found"})
	assert.Equal(t, http.StatusNotFound, w.Code)
	assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	assert.Equal(t, "Task not found\n", w.Body.String())
	assert.Empty(t, w.Header().Get("Retry-After"))

	w = httptest.NewRecorder()
	Error(w, httptest.NewRequest("GET", "/", nil), Problem{Status: http.StatusServiceUnavailable, Detail: "Not ready"})
	assert.Equal(t, "1", w.Header().Get("Retry-After"))
}

func TestSpecHandler_WritesJSON(t *testing.T) {
	w := httptest.NewRecorder()
	SpecHandler([]byte(`{"swagger":"2.0"}`)).ServeHTTP(w, httptest.NewRequest("GET", "/v1/swagger.json", nil))
	assert.Equal(t, ContentTypeJSON, w.Header().Get("Content-Type"))
	assert.Equal(t, `{"swagger":"2.0"}`, w.Body.String())
}

var (
	errNotFound = errors.New("task not found")
	errNoSuch   = errors.New("no such environment")
)

// noSuch is an error with a name in its words.
type noSuch struct{ name string }

func (e noSuch) Error() string        { return "Environment " + e.name + " does not exist" }
func (e noSuch) Is(target error) bool { return target == errNoSuch }

func TestErrorTable_Responds(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for name, tc := range map[string]struct {
		ctx    context.Context
		err    error
		status int
		text   string
		logged []logrus.Level
	}{
		"known":          {t.Context(), errNotFound, 404, "Task not found", nil},
		"known, wrapped": {t.Context(), fmt.Errorf("get a: %w", errNotFound), 404, "Task not found", nil},
		"its own words":  {t.Context(), noSuch{"agent"}, 404, "Environment agent does not exist", nil},
		"its own words alone": {
			t.Context(), fmt.Errorf("read: %w", noSuch{"agent"}), 404, "Environment agent does not exist", nil,
		},
		"too large": {t.Context(), fmt.Errorf("body: %w", &http.MaxBytesError{Limit: 1}), 413, bodyTooLarge, nil},
		"too slow":  {t.Context(), fmt.Errorf("body: %w", errBodyTooSlow), 408, bodyTooSlow, nil},
		"unexpected": {
			t.Context(), errors.New("etcdserver: no leader"), 500, "Server Error", []logrus.Level{logrus.ErrorLevel},
		},
		"a client that is off": {ended, context.Canceled, 500, "Server Error", []logrus.Level{logrus.DebugLevel}},
	} {
		t.Run(name, func(t *testing.T) {
			log, lines := logged()
			answers := ErrorTable{
				Responses: []ErrorResponse{
					{Err: errNotFound, Status: 404, Text: "Task not found"}, {Err: errNoSuch, Status: 404},
				},
				Unexpected: "Server Error",
				Log:        log,
			}
			w := httptest.NewRecorder()
			answers.Respond(w, httptest.NewRequestWithContext(tc.ctx, "GET", "/v1/tasks", nil), tc.err)
			assert.Equal(t, tc.status, w.Code)
			assert.Equal(t, tc.text+"\n", w.Body.String())
			var levels []logrus.Level
			for _, entry := range lines.AllEntries() {
				levels = append(levels, entry.Level)
				assert.Equal(t, tc.err, entry.Data["error"])
			}
			assert.Equal(t, tc.logged, levels)
		})
	}
}
