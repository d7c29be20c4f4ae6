package ui_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/ui"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHandler_ServesThePageItsFilesAndTheSharedOnes(t *testing.T) {
	page := fstest.MapFS{
		"static/index.html": {Data: []byte("the page")},
		"static/dom.js":     {Data: []byte("the page's own")},
		"secret.txt":        {Data: []byte("not served")},
	}
	mux := http.NewServeMux()
	handler := ui.Handler(page, map[string]string{"url": "https://example.com"})
	mux.Handle("GET /{$}", handler)
	mux.Handle("GET /page/{file}", handler)
	get := func(path, etag string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(http.MethodGet, path, nil)
		request.Header.Set("If-None-Match", etag)
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, request)
		return answer
	}
	for path, want := range map[string]struct{ contentType, body string }{
		"/":                 {"text/html; charset=utf-8", "the page"},
		"/page/dom.js":      {"text/javascript; charset=utf-8", "the page's own"},
		"/page/base.css":    {"text/css; charset=utf-8", ""},
		"/page/icon.svg":    {"image/svg+xml", ""},
		"/page/config.json": {"application/json; charset=UTF-8", `{"url":"https://example.com"}`},
	} {
		answer := get(path, "")
		assert.Equal(t, http.StatusOK, answer.Code, path)
		assert.Equal(t, want.contentType, answer.Header().Get("Content-Type"), path)
		assert.Contains(t, answer.Header().Get("Content-Security-Policy"), "default-src 'none'", path)
		if want.body != "" {
			assert.Equal(t, want.body, answer.Body.String(), path)
		}
		assert.Equal(t, http.StatusNotModified, get(path, answer.Header().Get("ETag")).Code, path)
	}
	for _, path := range []string{"/page/secret.txt", "/page/absent.js", "/page/ui.go"} {
		assert.Equal(t, http.StatusNotFound, get(path, "").Code, path)
	}
}
