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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ask(path string, header ...string) *http.Response {
	mux := http.NewServeMux()
	apidocs.Register(mux)
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
