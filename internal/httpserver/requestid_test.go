package httpserver

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serveGuarded returns the response of a guarded handler to one request.
func serveGuarded(t *testing.T, log logrus.FieldLogger, r *http.Request, handler http.HandlerFunc) *http.Response {
	t.Helper()
	recorded := httptest.NewRecorder()
	guard(handler, log, defaults).ServeHTTP(recorded, r)
	return recorded.Result()
}

func TestRequestID_IsTakenOverIfWellFormed(t *testing.T) {
	log, _ := logged()
	for given, kept := range map[string]bool{
		"7b0e1c1e-5a3f-4e02-9d0e-6a1f0c7f3a51": true,
		"1-67891233-abcdef012345678912345678":  true, // X-Ray's form
		"deploy:42/step=3":                     true,
		strings.Repeat("a", 128):               true,
		"":                                     false,
		strings.Repeat("a", 129):               false,
		"-starts-like-a-flag":                  false,
		"two words":                            false,
		"a\" level=error msg=forged":           false,
		"\x1b[2J":                              false,
		"ünïcode":                              false,
	} {
		request := httptest.NewRequest(http.MethodGet, "/v1/tasks", nil)
		request.Header.Set(RequestIDHeader, given)
		var seen string
		response := serveGuarded(t, log, request, func(_ http.ResponseWriter, r *http.Request) {
			seen = r.Header.Get(RequestIDHeader)
		})
		got := response.Header.Get(RequestIDHeader)
		assert.Equal(t, got, seen, "handlers and clients have the same id")
		if kept {
			assert.Equal(t, given, got)
		} else {
			assert.Regexp(t, `^[0-9a-f]{32}$`, got, "given %q", given)
		}
	}
}

// Two ids are ambiguous: a proxy may log one and Blox the other.
func TestRequestID_IsNewIfSeveralAreGiven(t *testing.T) {
	log, _ := logged()
	request := httptest.NewRequest(http.MethodGet, "/v1/tasks", nil)
	request.Header[RequestIDHeader] = []string{"first", "second"}
	response := serveGuarded(t, log, request, func(http.ResponseWriter, *http.Request) {})
	require.Len(t, response.Header.Values(RequestIDHeader), 1)
	assert.Regexp(t, `^[0-9a-f]{32}$`, response.Header.Get(RequestIDHeader))
}

// Every response has an id, and every line about the request has the same one.
func TestRequestID_IsOnEveryResponseAndLine(t *testing.T) {
	table := func(log logrus.FieldLogger) ErrorTable { return ErrorTable{Unexpected: "Server Error", Log: log} }
	for name, tc := range map[string]struct {
		method  string
		header  http.Header
		handler func(log logrus.FieldLogger) http.HandlerFunc
		status  int
		lines   []string
	}{
		"a success": {"GET", nil, func(logrus.FieldLogger) http.HandlerFunc {
			return func(http.ResponseWriter, *http.Request) {}
		}, http.StatusOK, []string{"request served"}},
		"a failure": {"GET", nil, func(log logrus.FieldLogger) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { table(log).Respond(w, r, errors.New("boom")) }
		}, http.StatusInternalServerError, []string{"request failed", "request failed"}},
		"a panic": {"GET", nil, func(logrus.FieldLogger) http.HandlerFunc {
			return func(http.ResponseWriter, *http.Request) { panic("boom") }
		}, http.StatusInternalServerError, []string{"request panicked", "request failed"}},
		"a page of another site": {"POST", http.Header{"Sec-Fetch-Site": {"cross-site"}},
			func(logrus.FieldLogger) http.HandlerFunc { return nil }, http.StatusForbidden, []string{"request served"}},
	} {
		t.Run(name, func(t *testing.T) {
			log, lines := logged()
			request := httptest.NewRequest(tc.method, "/v1/environments", nil)
			for key, values := range tc.header {
				request.Header[key] = values
			}
			request.Header.Set(RequestIDHeader, "trace-1")
			response := serveGuarded(t, log, request, tc.handler(log))
			assert.Equal(t, tc.status, response.StatusCode)
			assert.Equal(t, "trace-1", response.Header.Get(RequestIDHeader))
			var messages []string
			for _, entry := range lines.AllEntries() {
				messages = append(messages, entry.Message)
				assert.Equal(t, "trace-1", entry.Data["requestId"], entry.Message)
			}
			assert.Equal(t, tc.lines, messages)
		})
	}
}

func TestGuard_LogsChangesAtInfoWithTheClient(t *testing.T) {
	withSubject := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{
		Subject: pkix.Name{CommonName: "deployer", Organization: []string{"Platform"}},
	}}}
	for method, level := range map[string]logrus.Level{
		http.MethodGet: logrus.DebugLevel, http.MethodHead: logrus.DebugLevel, http.MethodOptions: logrus.DebugLevel,
		http.MethodPost: logrus.InfoLevel, http.MethodPut: logrus.InfoLevel, http.MethodPatch: logrus.InfoLevel,
		http.MethodDelete: logrus.InfoLevel,
	} {
		for client, state := range map[string]*tls.ConnectionState{
			"192.0.2.1:1234": nil, "CN=deployer,O=Platform": withSubject,
		} {
			log, lines := logged()
			request := httptest.NewRequest(method, "/v1/environments", nil)
			request.TLS = state
			serveGuarded(t, log, request, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) })
			entry := lines.LastEntry()
			require.NotNil(t, entry)
			assert.Equal(t, level, entry.Level, method)
			assert.Equal(t, client, entry.Data["client"], method)
			assert.Equal(t, http.StatusConflict, entry.Data["status"], method)
		}
	}
}
