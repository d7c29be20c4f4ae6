package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// countingListener counts what its connections' Write is called for.
type countingListener struct {
	net.Listener
	writes atomic.Int64
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countingConn{conn, &l.writes}, err
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestWriteAndFlush_NeedsOneWrite(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener := &countingListener{Listener: inner}
	sizes := []int{1, 1000, 3000, 12_000, 100_000}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			assert.NoError(t, http.NewResponseController(w).Flush())
			for _, size := range sizes {
				before := listener.writes.Load()
				assert.NoError(t, WriteAndFlush(w, bytes.Repeat([]byte("x"), size)))
				assert.EqualValues(t, 1+size/pieceSize, listener.writes.Load()-before, "writes of %d bytes", size)
			}
			assert.NoError(t, WriteAndFlush(w, bytes.Repeat([]byte("y"), 10*maxBuffered)))
		}), testenv.Logger(t))
	}()
	client := &http.Client{Transport: &http.Transport{}}
	answer, err := client.Get("http://" + inner.Addr().String())
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	assert.Equal(t, 1+1000+3000+12_000+100_000, bytes.Count(body, []byte("x")))
	assert.Equal(t, 10*maxBuffered, bytes.Count(body, []byte("y")))
	client.CloseIdleConnections()
	stop()
	assert.NoError(t, <-ended)
}

// piecewise records the writes to it and the extensions of its deadline.
type piecewise struct {
	net.Conn
	did []string
}

func (c *piecewise) Write(p []byte) (int, error) {
	c.did = append(c.did, fmt.Sprintf("%d KiB", len(p)>>10))
	return len(p), nil
}

func TestBufferedConn_ExtendsTheDeadlineForEachPiece(t *testing.T) {
	conn := &piecewise{}
	g := &bufferedConn{Conn: conn}
	g.startBuffering(func() { conn.did = append(conn.did, "more time") })
	for _, size := range []int{120 << 10, 300 << 10} {
		n, err := g.Write(make([]byte, size))
		require.NoError(t, err)
		assert.Equal(t, size, n)
	}
	require.NoError(t, g.flush())
	assert.Equal(t, []string{
		"64 KiB", "more time", "56 KiB", "64 KiB", "more time", "64 KiB", "more time", "64 KiB", "more time", "64 KiB",
		"more time", "44 KiB",
	}, conn.did)
}

// A refusal by net/http itself has an end, not a reset.
func TestServe_RejectsATooLongHeaderWithoutAReset(t *testing.T) {
	server := start(t, func(http.ResponseWriter, *http.Request) {}, testenv.Logger(t), defaults)
	conn, err := net.Dial("tcp", server.url[len("http://"):])
	require.NoError(t, err)
	defer conn.Close()
	sent := make(chan struct{})
	go func() { // of which the server does not read all
		defer close(sent)
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 4*maxHeader))
	}()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	_, err = io.ReadAll(answer.Body)
	assert.NoError(t, err)
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, answer.StatusCode)
	require.NoError(t, conn.Close())
	<-sent
}

func TestWriteAndFlush_FailsOnceTheClientHasLeft(t *testing.T) {
	failed := make(chan error, 1)
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		assert.NoError(t, http.NewResponseController(w).Flush())
		<-r.Context().Done()
		for {
			if err := WriteAndFlush(w, []byte("line\n")); err != nil {
				failed <- WriteAndFlush(w, []byte("line\n"))
				return
			}
		}
	}, testenv.Logger(t), defaults)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.url, nil)
	require.NoError(t, err)
	answer, err := server.client.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	leave()
	assert.Error(t, <-failed, "once lost, always lost")
}

func TestWriteAndFlush_WorksWithEveryServer(t *testing.T) {
	w := httptest.NewRecorder()
	require.NoError(t, WriteAndFlush(w, []byte("line\n")))
	assert.Equal(t, "line\n", w.Body.String())
	assert.True(t, w.Flushed)
}
