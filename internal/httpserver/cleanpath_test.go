package httpserver

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const taskARN = "arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c"

// api is a small mux with the shapes of both services' paths; tasks are answered with what the path has given.
func api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tasks", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "all?%s", r.URL.RawQuery)
	})
	mux.HandleFunc("GET /v1/tasks/{cluster}/{arn...}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.PathValue("cluster"), r.PathValue("arn"))
	})
	mux.HandleFunc("/v1/tasks/{cluster}", http.NotFound)
	mux.HandleFunc("POST /v1/environments", func(http.ResponseWriter, *http.Request) {})
	return RedirectToCleanPath(mux)
}

// ask sends one request with target as its request line has it, which http.Client would tidy up.
func ask(t *testing.T, server *httptest.Server, method, target string) (*http.Response, string) {
	t.Helper()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	require.NoError(t, connection.SetDeadline(time.Now().Add(time.Minute)))
	_, err = fmt.Fprintf(connection, "%s %s HTTP/1.1\r\nHost: blox\r\nConnection: close\r\n\r\n", method, target)
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(body)
}

func TestRedirectToCleanPath_Redirects(t *testing.T) {
	server := httptest.NewServer(api())
	defer server.Close()
	for target, want := range map[string]string{
		"/v1/tasks/":                           "/v1/tasks",
		"/v1//tasks":                           "/v1/tasks",
		"//v1/tasks":                           "/v1/tasks",
		"/v1/tasks/?status=RUNNING&cluster=a/": "/v1/tasks?status=RUNNING&cluster=a/",
		"/v1/tasks/?next=%2F%2f+%20":           "/v1/tasks?next=%2F%2f+%20",
		"/v1/tasks/prod/":                      "/v1/tasks/prod",
		"/v1/tasks/prod/a%2F%2Fb/":             "/v1/tasks/prod/a%2F%2Fb",
		"/v1/tasks/prod//" + taskARN:           "/v1/tasks/prod/" + taskARN,
		"/v1/../v1/tasks":                      "/v1/tasks",
		"/v1/./tasks":                          "/v1/tasks",
		"/../../etc/passwd":                    "/etc/passwd",
		"//evil.com/":                          "/evil.com",
		"//evil.com/v1/../..//other.com/":      "/other.com",
		"/..//evil.com":                        "/evil.com",
		"/\\evil.com/":                         "/%5Cevil.com",
		"http://evil.com/v1//tasks":            "/v1/tasks",
		"//":                                   "/",
	} {
		for method, status := range map[string]int{"GET": 301, "HEAD": 301, "POST": 308, "DELETE": 308} {
			answer, _ := ask(t, server, method, target)
			assert.Equal(t, status, answer.StatusCode, "%s %s", method, target)
			location := answer.Header.Get("Location")
			assert.Equal(t, want, resolve(t, target, location), "%s %s: %s", method, target, location)
			if strings.HasPrefix(target, "/") && !strings.Contains(target, "..") {
				assert.Equal(t, "/blox"+want, resolve(t, "/blox"+target, location), "%s below a prefix: %s", target, location)
			}
		}
	}
}

// resolve returns the path and query to which a client at http://blox follows a redirect.
func resolve(t *testing.T, target, location string) string {
	t.Helper()
	if !strings.HasPrefix(target, "http:") {
		target = "http://blox" + target
	}
	at, err := url.Parse(target)
	require.NoError(t, err)
	to, err := at.Parse(location)
	require.NoError(t, err, "%q", location)
	assert.Equal(t, at.Host, to.Host)
	return strings.TrimPrefix(to.String(), at.Scheme+"://"+at.Host)
}

func TestRedirectToCleanPath_ServesCleanPaths(t *testing.T) {
	server := httptest.NewServer(api())
	defer server.Close()
	for target, want := range map[string]string{
		"/v1/tasks":                 "all?",
		"/v1/tasks?cluster=a//b/":   "all?cluster=a//b/",
		"/v1/tasks/prod/" + taskARN: "prod " + taskARN,
		"/v1/tasks/prod/arn%3Aaws%3Aecs%3Aeu-west-1%3A123456789012%3Atask%2Fprod%2F1a2b3c": "prod " + taskARN,
		"/v1/tasks/prod/arn:aws:ecs:eu-west-1:123456789012:task%2fprod%2f1a2b3c":           "prod " + taskARN,
		"/v1/tasks/prod/%2e%2e/a": "prod ../a",
		"/v1/tasks/a%2Fb/%2F":     "a/b /",
	} {
		answer, body := ask(t, server, "GET", target)
		assert.Equal(t, http.StatusOK, answer.StatusCode, target)
		assert.Equal(t, want, body, target)

		answer, body = ask(t, server, "HEAD", target)
		assert.Equal(t, http.StatusOK, answer.StatusCode, "HEAD %s", target)
		assert.Empty(t, body)
	}
}

func TestRedirectToCleanPath_AnswersNotFound(t *testing.T) {
	server := httptest.NewServer(api())
	defer server.Close()
	for _, path := range []string{"/", "/v1", "/v1/task", "/v1/tasks/prod", "/v1/tasks%2F", "/V1/tasks", "*"} {
		answer, body := ask(t, server, "GET", path)
		assert.Equal(t, http.StatusNotFound, answer.StatusCode, path)
		assert.Equal(t, "404 page not found\n", body)
		assert.Equal(t, "text/plain; charset=utf-8", answer.Header.Get("Content-Type"))
	}
	for request, allow := range map[[2]string]string{
		{"DELETE", "/v1/tasks"}:                 "GET, HEAD",
		{"POST", "/v1/tasks/prod/" + taskARN}:   "GET, HEAD",
		{"GET", "/v1/environments"}:             "POST",
		{"OPTIONS", "/v1/environments?cluster"}: "POST",
	} {
		answer, _ := ask(t, server, request[0], request[1])
		assert.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode, request)
		assert.Equal(t, allow, answer.Header.Get("Allow"), request)
	}
}

func FuzzRedirectToCleanPath_RedirectsToThisServerOnce(f *testing.F) {
	for _, seed := range []string{
		"//evil.com/", "/\\evil.com//", "/v1/../..//x/", "/%2F/evil.com/", "/a%", "/?//", "/.//..//",
	} {
		f.Add(seed)
	}
	handler := api()
	f.Fuzz(func(t *testing.T, target string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: blox\r\n\r\n")))
		if err != nil || r.URL.Path == "" {
			return
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		location := w.Header().Get("Location")
		if location == "" {
			return
		}
		to, err := (&url.URL{Scheme: "http", Host: "blox", Path: r.URL.Path, RawPath: r.URL.RawPath}).Parse(location)
		if err != nil || to.Host != "blox" || to.Scheme != "http" || !strings.HasPrefix(location, ".") {
			t.Fatalf("%q is redirected to %q", target, location)
		}
		path := to.RequestURI()
		if strings.HasPrefix(path, "//") {
			t.Fatalf("%q is redirected to %q, which is %q", target, location, path)
		}
		again := httptest.NewRecorder()
		handler.ServeHTTP(again, httptest.NewRequest("GET", path, nil))
		if next := again.Header().Get("Location"); next != "" {
			t.Errorf("%q is redirected to %q and on to %q", target, location, next)
		}
	})
}
