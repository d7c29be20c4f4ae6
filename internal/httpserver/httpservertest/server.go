package httpservertest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/testenv"
)

// API is a service's API. Its handler needs no dependencies until it has accepted a request.
type API struct {
	Handler    http.Handler
	Policy     access.Policy
	Unexpected string // the text of 500
	Change     string // path of an operation POST that reads a body
	ChangeRole string // that it needs
}

// ServerCases returns the errors that the server itself responds with, by code.
func (a API) ServerCases() map[string]Case {
	return map[string]Case{
		access.CodeUnauthenticated: {
			Status: http.StatusUnauthorized,
			Text:   "The request has no credentials: send a bearer token or a client certificate",
		},
		access.CodeForbidden: {
			Status: http.StatusForbidden,
			Text:   "viewer has the role viewer; POST " + a.Change + " needs the role " + a.ChangeRole,
		},
		access.CodeReadOnly: {
			Status: http.StatusMethodNotAllowed, Text: "This address serves GET and HEAD only",
		},
		httpserver.CodeNotFound:         {Status: http.StatusNotFound, Text: "404 page not found"},
		httpserver.CodeMethodNotAllowed: {Status: http.StatusMethodNotAllowed, Text: "Method Not Allowed"},
		httpserver.CodeCrossOrigin: {
			Status: http.StatusForbidden, Text: "A page of another site may not change anything here",
		},
		httpserver.CodeBodyTooLarge: {
			Status: http.StatusRequestEntityTooLarge, Text: "The body is larger than 1 MiB",
		},
		httpserver.CodeBodyTooSlow: {Status: http.StatusRequestTimeout, Text: "The body did not arrive in time"},
		httpserver.CodeInternal:    {Status: http.StatusInternalServerError, Text: a.Unexpected},
	}
}

// CheckServer sends requests that cause the ServerCases, and checks the responses in both forms.
func CheckServer(t *testing.T, a API) {
	t.Helper()
	s := serve(t, a)
	body := strings.NewReader
	requests := map[string]func() *http.Request{
		access.CodeUnauthenticated:      func() *http.Request { return s.request(s.url, "", "POST", a.Change, nil) },
		access.CodeForbidden:            func() *http.Request { return s.request(s.url, "viewer", "POST", a.Change, nil) },
		access.CodeReadOnly:             func() *http.Request { return s.request(s.readOnly, "", "POST", a.Change, nil) },
		httpserver.CodeNotFound:         func() *http.Request { return s.request(s.url, "admin", "GET", "/v1/none", nil) },
		httpserver.CodeMethodNotAllowed: func() *http.Request { return s.request(s.url, "admin", "PUT", a.Change, nil) },
		httpserver.CodeCrossOrigin: func() *http.Request {
			return crossSite(s.request(s.url, "admin", "POST", a.Change, body("{}")))
		},
		httpserver.CodeBodyTooLarge: func() *http.Request {
			return s.request(s.url, "admin", "POST", a.Change, body(tooLarge))
		},
		httpserver.CodeInternal: func() *http.Request { return s.request(s.url, "admin", "GET", panicPath, nil) },
	}
	for code, c := range a.ServerCases() {
		t.Run(code, func(t *testing.T) {
			checkBothForms(t, code, c, func(accept string) *http.Response {
				if code == httpserver.CodeBodyTooSlow {
					return s.sendSlowly(t, "POST", a.Change, accept)
				}
				r := requests[code]()
				if accept != "" {
					r.Header.Set("Accept", accept)
				}
				return s.send(t, r)
			})
		})
	}
}

// CheckStatuses sends every operation of the specification requests that the server itself rejects. The specification
// has to declare the statuses of the responses.
func CheckStatuses(t *testing.T, a API, spec *testenv.Spec) {
	t.Helper()
	s := serve(t, a)
	statuses := map[int]int{}
	check := func(r *http.Request, want int) {
		t.Helper()
		answer := s.send(t, r)
		defer answer.Body.Close()
		assert.Equal(t, want, answer.StatusCode, "%s %s", r.Method, r.URL.Path)
		statuses[answer.StatusCode]++
		spec.CheckStatus(t, r, answer.StatusCode)
	}
	for path, methods := range spec.Paths() {
		path = strings.NewReplacer("{name}", "logs", "{cluster}", "prod", "{arn}", "arn:aws:ecs:us-east-1:1:task/a",
			"{id}", "1", "{revision}", "1").Replace(path)
		for _, method := range methods {
			with := func(token string, body io.Reader) *http.Request { return s.request(s.url, token, method, path, body) }
			check(with("admin", strings.NewReader(tooLarge)), http.StatusRequestEntityTooLarge)
			header := with("admin", nil)
			header.Header.Set("X-Large", strings.Repeat("x", 80<<10))
			check(header, http.StatusRequestHeaderFieldsTooLarge)
			spec.CheckStatus(t, with("", nil), http.StatusMethodNotAllowed) // of other methods, see CheckServer
			if a.Policy.Role(with("", nil)) > access.Public {
				check(with("", nil), http.StatusUnauthorized)
			}
			if method == http.MethodGet {
				continue
			}
			check(crossSite(with("admin", nil)), http.StatusForbidden)
			check(with("viewer", nil), http.StatusForbidden)
			check(s.request(s.readOnly, "", method, path, nil), http.StatusMethodNotAllowed)
			if method != http.MethodDelete {
				answer := s.sendSlowly(t, method, path, "")
				_ = answer.Body.Close()
				statuses[answer.StatusCode]++
				spec.CheckStatus(t, with("", nil), answer.StatusCode)
			}
		}
	}
	for _, status := range []int{401, 403, 405, 408, 413, 431} {
		assert.Positive(t, statuses[status], "no response %d", status)
	}
}

const panicPath = "/v1/panics"

var tooLarge = strings.Repeat("x", 1<<20+1)

// bodyTimeout bounds how long a test waits for 408. A busy machine may miss it, and then the test sends again.
const bodyTimeout = 200 * time.Millisecond

// served is an API at an address that requires tokens, whose names are roles, and at a read-only address.
type served struct {
	url, readOnly string
	client        *http.Client
}

func serve(t *testing.T, a API) *served {
	t.Helper()
	text := "tokens:\n"
	for _, role := range []string{"viewer", "operator", "admin"} {
		text += fmt.Sprintf("  - {name: %s, role: %s, sha256: %s}\n", role, role, access.Hash(role+"-token"))
	}
	file := filepath.Join(t.TempDir(), "access.yml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		return listener
	}
	cfg := access.Config{
		Options: access.Options{File: file}, Listener: listen(), ReadOnly: listen(), Policy: a.Policy,
		Log: testenv.Logger(t), Metrics: prometheus.NewRegistry(),
	}
	server, err := access.Listen(cfg)
	require.NoError(t, err)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == panicPath {
			panic("on purpose")
		}
		a.Handler.ServeHTTP(w, r)
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, handler, httpserver.WithPanicText(a.Unexpected), httpserver.WithBodyTimeout(bodyTimeout))
	}()
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
		transport.CloseIdleConnections()
	})
	return &served{
		url: "http://" + cfg.Listener.Addr().String(), readOnly: "http://" + cfg.ReadOnly.Addr().String(),
		client: &http.Client{Transport: transport, Timeout: time.Minute},
	}
}

func (s *served) request(url, token, method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), method, url+path, body)
	if err != nil {
		panic(err) // a mistake in the test
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token+"-token")
	}
	return r
}

// crossSite marks a request as one that a browser sends for a page of another site.
func crossSite(r *http.Request) *http.Request {
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return r
}

func (s *served) send(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	var answer *http.Response
	testenv.Eventually(t, func() (sent bool) { // a busy machine may exceed the body timeout
		again := r.Clone(r.Context())
		if r.GetBody != nil {
			again.Body, _ = r.GetBody()
		}
		var err error
		answer, err = s.client.Do(again) //nolint:bodyclose // the callers close it
		return err == nil
	})
	return answer
}

// sendSlowly sends a request whose body does not arrive, until the response says so.
func (s *served) sendSlowly(t *testing.T, method, path, accept string) *http.Response {
	t.Helper()
	var answer *http.Response
	testenv.Eventually(t, func() bool {
		body, stalled := io.Pipe()
		defer stalled.Close()
		r := s.request(s.url, "admin", method, path, body)
		r.ContentLength = 10
		r.Header.Set("Idempotency-Key", "key") // the body is read before the parameters are checked
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		var err error
		answer, err = s.client.Do(r) //nolint:bodyclose // the callers close it
		return err == nil && answer.StatusCode == http.StatusRequestTimeout
	})
	return answer
}

func read(t *testing.T, answer *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}

// Join returns the cases of both.
func Join(a, b map[string]Case) map[string]Case {
	joined := maps.Clone(a)
	maps.Copy(joined, b)
	return joined
}
