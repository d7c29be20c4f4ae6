package apidocs_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/apidocs"
	"github.com/blox/blox/internal/version"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const swagger = `{"swagger": "2.0", "info": {"title": "a-service"}, "basePath": "/v1", "paths": {
	"/things": {"post": {"summary": "Create."}, "parameters": [], "get": {"tags": ["Things"], "summary": "List."}}}}`

func ask(path string, header ...string) *http.Response {
	mux := http.NewServeMux()
	apidocs.Register(mux, apidocs.Spec{Swagger: []byte(swagger), OpenAPI: []byte(`{"openapi":"3.0.3"}`)})
	request := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, request)
	return answer.Result()
}

func text(t *testing.T, answer *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(body)
}

func TestHandler_ServesEveryLinkedFile(t *testing.T) {
	html := text(t, ask("/docs"))
	needed := regexp.MustCompile(`(?:src|href)="(docs/[^"]+)"`).FindAllStringSubmatch(html, -1)
	require.Len(t, needed, 4, html)
	for _, file := range needed {
		answer := ask("/" + file[1])
		assert.Equal(t, http.StatusOK, answer.StatusCode, file[1])
		assert.NotEmpty(t, text(t, answer), file[1])
		assert.Contains(t, answer.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';", file[1])
		assert.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"), file[1])
	}
	assert.Equal(t, http.StatusNotFound, ask("/docs/swagger-ui.js").StatusCode)
}

func TestHandler_CompressesAndCaches(t *testing.T) {
	plain := ask("/docs/swagger-ui-bundle.js")
	zipped := ask("/docs/swagger-ui-bundle.js", "Accept-Encoding", "gzip, br")
	assert.Empty(t, plain.Header.Get("Content-Encoding"))
	assert.Equal(t, "gzip", zipped.Header.Get("Content-Encoding"))
	assert.Greater(t, len(text(t, plain)), 2*len(text(t, zipped)))

	for _, answer := range []*http.Response{plain, zipped} {
		again := ask(
			"/docs/swagger-ui-bundle.js", "If-None-Match", answer.Header.Get("ETag"), "Accept-Encoding",
			answer.Header.Get("Content-Encoding"),
		)
		assert.Equal(t, http.StatusNotModified, again.StatusCode)
		assert.Empty(t, text(t, again))
	}
	assert.NotEqual(t, plain.Header.Get("ETag"), zipped.Header.Get("ETag"))
}

func TestIndex_ListsTheOperations(t *testing.T) {
	answer := ask("/v1", "Accept", "*/*")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	assert.Equal(t, "application/json; charset=UTF-8", answer.Header.Get("Content-Type"))
	assert.Equal(t, "Accept", answer.Header.Get("Vary"))
	assert.JSONEq(t, `{"service": "a-service", "version": "`+version.String()+`", "page": "./", "docs": "docs",
		"openapi": "v1/openapi.json", "swagger": "v1/swagger.json", "operations": [
			{"method": "GET", "path": "/v1/things", "tag": "Things", "summary": "List."},
			{"method": "POST", "path": "/v1/things", "tag": "", "summary": "Create."}]}`, text(t, answer))
}

func TestIndex_RedirectsBrowsersToTheDocs(t *testing.T) {
	for accept, redirects := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "application/problem+json, application/json": false,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true, "application/json, text/html": false,
		";;": false,
	} {
		answer := ask("/v1", "Accept", accept)
		assert.Equal(t, redirects, answer.StatusCode == http.StatusFound, accept)
		if redirects {
			assert.Equal(t, "docs", answer.Header.Get("Location"), "relative to /v1")
		}
	}
}

func TestDocuments_AreServedInBothForms(t *testing.T) {
	assert.Equal(t, swagger, text(t, ask("/v1/swagger.json")))
	assert.Equal(t, `{"openapi":"3.0.3"}`, text(t, ask("/v1/openapi.json")))
}
