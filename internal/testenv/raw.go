package testenv

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// RawClient sends malformed requests, which http.Client would correct or reject, one at a time. The zero value with an
// address is ready to use; Close ends it.
type RawClient struct {
	Address string

	conn   net.Conn
	reader *bufio.Reader
}

// Send sends a request and returns the response and its body, but does not wait for the body of a stream. A missing or
// incomplete response fails the test. Send returns false and sends nothing if the parts do not form one request: an
// invalid method token, or a target with spaces or control characters.
func (r *RawClient) Send(
	tb testing.TB, method, target, body string, header ...string,
) (answer *http.Response, read []byte, sent bool) {
	tb.Helper()
	if !isToken(method) || target == "" ||
		strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return nil, nil, false
	}
	if r.conn == nil {
		conn, err := (&net.Dialer{Timeout: timeout}).Dial("tcp", r.Address)
		require.NoError(tb, err)
		r.conn, r.reader = conn, bufio.NewReader(conn)
	}
	require.NoError(tb, r.conn.SetDeadline(time.Now().Add(timeout)))
	var request bytes.Buffer
	request.WriteString(
		method + " " + target + " HTTP/1.1\r\nHost: blox\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n",
	)
	for _, line := range header {
		request.WriteString(line + "\r\n")
	}
	request.WriteString("\r\n" + body)
	_, err := r.conn.Write(request.Bytes())
	require.NoError(tb, err, "%q %q", method, target)
	about := &http.Request{Method: method, URL: &url.URL{Path: target}}
	if parsed, err := url.ParseRequestURI(target); err == nil {
		about.URL = parsed
	}
	answer, err = http.ReadResponse(r.reader, about)
	require.NoError(tb, err, "%q %q %.1000q", method, target, body)
	if answer.Header.Get("Content-Type") == "application/octet-stream" && method != http.MethodHead {
		r.Close()
		return answer, nil, true
	}
	read, err = io.ReadAll(answer.Body)
	require.NoError(tb, err, "%q %q %.1000q", method, target, body)
	require.NoError(tb, answer.Body.Close())
	if answer.Close || method == http.MethodConnect {
		r.Close()
	}
	return answer, read, true
}

// Close closes the connection. The next request opens a new one.
func (r *RawClient) Close() {
	if r.conn != nil {
		_ = r.conn.Close()
		r.conn = nil
	}
}

// isToken reports whether s is a valid method. Source: RFC 9110, 5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", c)
	})
}

// RequireTextError fails the test unless a 4xx response has the form of both services: plain text and a newline.
// Responses of net/http itself, sent before a request reaches the handler, are exempt.
func RequireTextError(tb testing.TB, answer *http.Response, body []byte) {
	tb.Helper()
	require.Equal(tb, "text/plain; charset=utf-8", answer.Header.Get("Content-Type"))
	if answer.Request.Method == http.MethodHead ||
		answer.Close && strings.HasPrefix(string(body), strconv.Itoa(answer.StatusCode)+" ") {
		return
	}
	text, newline := strings.CutSuffix(string(body), "\n")
	require.True(tb, newline && text != "", "%d %q", answer.StatusCode, body)
}
