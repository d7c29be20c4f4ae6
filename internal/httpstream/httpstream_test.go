package httpstream

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"
)

var errSlow = errors.New("the reader is too slow")

// yields is a source of lines that ends with err.
func yields(err error, lines ...string) Open {
	return func(context.Context) (iter.Seq2[Line, error], error) {
		return func(yield func(Line, error) bool) {
			for _, line := range lines {
				if !yield(Line{Text: []byte(line)}, nil) {
					return
				}
			}
			if err != nil {
				yield(Line{}, err)
			}
		}, nil
	}
}

func serve(t *testing.T, open Open, errorLine func(error) []byte) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := Serve(w, r, open, errorLine); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url string) (*http.Response, string, error) {
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestServe_SendsHeadersAndLines(t *testing.T) {
	server := serve(t, yields(nil, "a\n", "", "b\n"), nil)
	response, body, err := get(t, server.URL)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Equal(t, "application/octet-stream", response.Header.Get("Content-Type"))
	assert.Equal(t, "no-store, no-transform", response.Header.Get("Cache-Control"))
	assert.Equal(t, "no", response.Header.Get("X-Accel-Buffering"))
	assert.Equal(t, "a\nb\n", body)
}

func TestServe_SendsHeadersBeforeTheFirstLine(t *testing.T) {
	left := make(chan struct{})
	server := serve(t, func(ctx context.Context) (iter.Seq2[Line, error], error) {
		return func(func(Line, error) bool) { <-ctx.Done(); close(left) }, nil
	}, nil)
	response, err := http.Get(server.URL)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, response.StatusCode)
	response.Body.Close()
	<-left // the source ends when its client leaves
}

func TestServe_AnswersHEADWithoutLines(t *testing.T) {
	server := serve(t, func(context.Context) (iter.Seq2[Line, error], error) {
		return func(func(Line, error) bool) { t.Error("lines were read") }, nil
	}, nil)
	response, err := http.Head(server.URL)
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, "application/octet-stream", response.Header.Get("Content-Type"))
}

func TestServe_ReturnsTheErrorOfOpenBeforeSendingAnything(t *testing.T) {
	server := serve(t, func(context.Context) (iter.Seq2[Line, error], error) { return nil, errSlow }, nil)
	response, body, err := get(t, server.URL)
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
	assert.Equal(t, errSlow.Error()+"\n", body)
	assert.Equal(t, "text/plain; charset=utf-8", response.Header.Get("Content-Type"))
}

func TestServe_EndsWithAnErrorLine(t *testing.T) {
	server := serve(t, yields(errSlow, "a\n"), func(err error) []byte { return []byte("error: " + err.Error() + "\n") })
	_, body, err := get(t, server.URL)
	require.NoError(t, err)
	assert.Equal(t, "a\nerror: the reader is too slow\n", body)
}

func TestServe_AbortsForClientsThatKnowNoErrorLines(t *testing.T) {
	for name, errorLine := range map[string]func(error) []byte{"no function": nil, "no line": func(error) []byte { return nil }} {
		t.Run(name, func(t *testing.T) {
			_, body, err := get(t, serve(t, yields(errSlow, "a\n"), errorLine).URL)
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.Equal(t, "a\n", body)
		})
	}
}

// A client that does not read blocks the write of its own line, and no other. The connections have small buffers: those
// of the kernel take in many lines for a client that never reads.
func TestServe_AStalledClientDelaysNoOther(t *testing.T) {
	line := strings.Repeat("x", maxBuffered)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.NoError(t, Serve(w, r, yields(nil, line), nil))
	}))
	server.Listener.Close()
	listener := bufconn.Listen(1 << 10)
	server.Listener = listener
	server.Start()
	defer server.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return listener.DialContext(ctx)
	}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	open := func() io.ReadCloser {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://stream/", nil)
		require.NoError(t, err)
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		return response.Body
	}
	stalled := open()
	defer stalled.Close()
	_, err := io.ReadFull(stalled, make([]byte, 1)) // of the line, the rest of which blocks its write
	require.NoError(t, err)
	other := open()
	defer other.Close()
	received, err := io.ReadAll(other)
	require.NoError(t, err, "the other client waits for the stalled one")
	assert.Equal(t, line, string(received))
}

// Lines that follow at once are sent together. No line is held back once no more follows, even if the last is empty.
func TestWriter_SendsLinesThatFollowAtOnceTogether(t *testing.T) {
	for name, tc := range map[string]struct {
		lines string // a capital letter means that more follows, a dot or underscore stands for an empty line
		sent  []string
	}{
		"one by one":           {"abc", []string{"a", "b", "c"}},
		"together":             {"ABCd", []string{"ABCd"}},
		"the last is empty":    {"AB.", []string{"AB"}},
		"the first is empty":   {"_Bc", []string{"Bc"}},
		"all are empty":        {"__.", nil},
		"a group and then one": {"Abc", []string{"Ab", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			var sent []string
			w := writer{send: func(p []byte) error {
				sent = append(sent, string(p))
				return nil
			}}
			for _, c := range tc.lines {
				line := Line{Text: []byte(string(c)), More: c == '_' || c >= 'A' && c <= 'Z'}
				if c == '_' || c == '.' {
					line.Text = nil
				}
				require.NoError(t, w.write(line))
			}
			assert.Equal(t, tc.sent, sent)
			assert.Nil(t, w.buffered)
		})
	}
}

func TestWriter_BoundsWhatItBuffers(t *testing.T) {
	sent := 0
	w := writer{send: func([]byte) error { sent++; return nil }}
	for range 10 {
		require.NoError(t, w.write(Line{Text: []byte(strings.Repeat("x", maxBuffered/2)), More: true}))
	}
	assert.Equal(t, 5, sent)
}

func TestParseHeartbeat_ChecksRange(t *testing.T) {
	for value, want := range map[string]time.Duration{"": 0, "1": time.Second, "300": 5 * time.Minute} {
		interval, ok := ParseHeartbeat(value)
		assert.True(t, ok, value)
		assert.Equal(t, want, interval, value)
	}
	for _, value := range []string{"0", "301", "-1", "1s", "1.5", " 1", "99999999999999999999"} {
		_, ok := ParseHeartbeat(value)
		assert.False(t, ok, value)
	}
}
