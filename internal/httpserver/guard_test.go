package httpserver

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/testenv/short"
)

func logged() (*logrus.Logger, *test.Hook) {
	log, lines := test.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	return log, lines
}

// line is the first logged line with message.
func line(t *testing.T, lines *test.Hook, message string) (found *logrus.Entry) {
	t.Helper()
	testenv.Eventually(t, func() bool {
		for _, entry := range lines.AllEntries() {
			if entry.Message == message {
				found = entry
			}
		}
		return found != nil
	}, "no line %q", message)
	return found
}

func TestGuard_LogsRequests(t *testing.T) {
	log, lines := logged()
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/down":
			Error(w, r, Problem{Status: http.StatusServiceUnavailable, Detail: "etcd does not respond"})
			return
		case "/broken":
			Error(w, r, Problem{Status: http.StatusInternalServerError, Detail: "Server Error"})
			return
		}
		_, _ = io.WriteString(w, "hello")
	}, log, defaults)

	server.get(t, "/v1/tasks?status=RUNNING")
	entry := line(t, lines, "request served")
	assert.Equal(t, logrus.DebugLevel, entry.Level)
	assert.Equal(t, "GET", entry.Data["method"])
	assert.Equal(t, "/v1/tasks", entry.Data["path"])
	assert.Equal(t, 200, entry.Data["status"])
	assert.Equal(t, 5, entry.Data["bytes"])
	assert.Positive(t, entry.Data["duration"])

	server.get(t, "/down")
	entry = line(t, lines, "request rejected")
	assert.Equal(t, logrus.InfoLevel, entry.Level)
	assert.Equal(t, 503, entry.Data["status"])

	server.get(t, "/broken")
	entry = line(t, lines, "request failed")
	assert.Equal(t, logrus.WarnLevel, entry.Level)
	assert.Equal(t, 500, entry.Data["status"])
}

func TestGuard_ContainsPanics(t *testing.T) {
	log, lines := logged()
	speaking := defaults
	speaking.panicText = "Server Error"
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/late":
			_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
			panic("late")
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/early":
			panic("early")
		}
	}, log, speaking)

	status, body := server.get(t, "/early")
	assert.Equal(t, http.StatusInternalServerError, status)
	assert.Equal(t, "Server Error\n", body)
	entry := line(t, lines, "request panicked")
	assert.Equal(t, "early", entry.Data["panic"])
	assert.Contains(t, entry.Data["stack"], "guard_test.go")

	lines.Reset()
	answer, err := server.client.Get(server.url + "/late")
	require.NoError(t, err)
	defer answer.Body.Close()
	_, err = io.ReadAll(answer.Body)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "a cut, not a clean end")
	assert.Equal(t, "late", line(t, lines, "request panicked").Data["panic"])

	lines.Reset()
	_, err = server.client.Get(server.url + "/abort")
	assert.ErrorIs(t, err, io.EOF)
	assert.Equal(t, logrus.DebugLevel, line(t, lines, "request aborted").Level)

	status, _ = server.get(t, "/")
	assert.Equal(t, http.StatusOK, status)
}

// readBody answers as an API does that needs the body.
func readBody(log logrus.FieldLogger) http.HandlerFunc {
	answers := ErrorTable{Unexpected: "Server Error", Log: log}
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			answers.Respond(w, r, err)
		}
	}
}

func TestGuard_LimitsBodies(t *testing.T) {
	log, _ := logged()
	hasty := defaults
	hasty.bodyTimeout = 200 * time.Millisecond
	for name, tc := range map[string]struct {
		settings settings
		body     io.Reader // a strings.Reader is sent with its length, others are chunked
		status   int
		text     string
	}{
		"as large as may be":         {defaults, strings.NewReader(strings.Repeat("x", maxBody)), 200, ""},
		"chunked":                    {defaults, io.LimitReader(endless{}, maxBody), 200, ""},
		"too large, and says so":     {defaults, strings.NewReader(strings.Repeat("x", maxBody+1)), 413, bodyTooLarge + "\n"},
		"too large, as is seen late": {defaults, io.LimitReader(endless{}, maxBody+1), 413, bodyTooLarge + "\n"},
		"too slow":                   {hasty, io.MultiReader(strings.NewReader("x"), stalled(t)), 408, bodyTooSlow + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, readBody(log), log, tc.settings)
			answer, err := server.client.Post(server.url, "", tc.body)
			require.NoError(t, err)
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			assert.Equal(t, tc.status, answer.StatusCode)
			assert.Equal(t, tc.text, string(body))
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// stalled is a reader that gives nothing before the end of the test.
func stalled(t *testing.T) io.Reader {
	reader, writer := io.Pipe()
	t.Cleanup(func() { writer.Close() })
	return reader
}

func TestServe_LiftsTheBodyTimeoutAfterTheBody(t *testing.T) {
	short.Skip(t, "waits for timeouts of a second")
	hasty := defaults
	hasty.bodyTimeout = time.Second
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
		}
		assert.NoError(t, http.NewResponseController(w).Flush())
		select {
		case <-r.Context().Done():
			t.Error("the client seems to have left")
		case <-time.After(2 * hasty.bodyTimeout):
		}
	}, testenv.Logger(t), hasty)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		request, err := http.NewRequestWithContext(t.Context(), method, server.url, strings.NewReader("{}"))
		require.NoError(t, err)
		answer, err := server.client.Do(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, answer.Body)
		assert.NoError(t, err)
		answer.Body.Close()
		assert.Equal(t, http.StatusOK, answer.StatusCode)
	}
}

func TestServe_AbortsResponsesThatNoClientReads(t *testing.T) {
	hasty := defaults
	hasty.writeTimeout = 50 * time.Millisecond
	cut := make(chan error, 1)
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(w, endless{})
		cut <- err
	}, testenv.Logger(t), hasty)
	answer, err := server.client.Get(server.url)
	require.NoError(t, err)
	defer answer.Body.Close()
	assert.ErrorContains(t, <-cut, "i/o timeout")
}

func TestServe_LiftsTheWriteTimeoutBetweenResponses(t *testing.T) {
	short.Skip(t, "waits for timeouts of a second")
	hasty := defaults
	hasty.writeTimeout = 500 * time.Millisecond
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(hasty.writeTimeout + hasty.writeTimeout/4) // longer than a write may take
	}, testenv.Logger(t), hasty)
	for range 2 { // on one connection
		status, _ := server.get(t, "/")
		assert.Equal(t, http.StatusOK, status)
		time.Sleep(hasty.writeTimeout + hasty.writeTimeout/4)
	}
}

func TestGuard_IgnoresInterimStatuses(t *testing.T) {
	log, lines := logged()
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNoContent)
	}, log, defaults)
	server.get(t, "/")
	assert.Equal(t, http.StatusNoContent, line(t, lines, "request served").Data["status"])
}
