package httpserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// served is a server with a client of its own.
type served struct {
	url    string
	client *http.Client
	stop   context.CancelFunc
	ended  chan error // Serve's
}

func start(t *testing.T, handler http.HandlerFunc, log logrus.FieldLogger, s settings) *served {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return startOn(t, listener, handler, log, s)
}

func startOn(
	t *testing.T, listener net.Listener, handler http.HandlerFunc, log logrus.FieldLogger, s settings,
) *served {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	transport := &http.Transport{}
	server := &served{
		url:    "http://" + listener.Addr().String(),
		client: &http.Client{Transport: transport, Timeout: time.Minute},
		stop:   stop,
		ended:  make(chan error, 1),
	}
	go func() { server.ended <- serve(ctx, listener, handler, log, s) }()
	t.Cleanup(func() {
		stop()
		transport.CloseIdleConnections()
		if err, open := <-server.ended; open {
			assert.NoError(t, err)
		}
	})
	return server
}

func (s *served) get(t *testing.T, path string) (int, string) {
	t.Helper()
	answer, err := s.client.Get(s.url + path)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(body)
}

// wait returns what Serve has returned.
func (s *served) wait() error {
	err := <-s.ended
	close(s.ended)
	return err
}

func (s *served) refuses() bool {
	connection, err := net.Dial("tcp", s.url[len("http://"):])
	if err == nil {
		connection.Close()
	}
	return err != nil
}

func TestServe_DrainsRequestsInFlight(t *testing.T) {
	under, release := make(chan struct{}), make(chan struct{})
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		close(under)
		<-release
		assert.NoError(t, r.Context().Err())
		_, _ = io.WriteString(w, "done")
	}, testenv.Logger(t), defaults)

	answered := make(chan string, 1)
	go func() {
		_, body := server.get(t, "/")
		answered <- body
	}()
	<-under
	server.stop()
	testenv.Eventually(t, server.refuses)
	close(release)
	assert.Equal(t, "done", <-answered)
	assert.NoError(t, server.wait())
}

func TestServe_EndsStreamsCleanly(t *testing.T) {
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := StreamContext(r)
		defer cancel()
		_, _ = io.WriteString(w, "line\n")
		assert.NoError(t, http.NewResponseController(w).Flush())
		<-ctx.Done()
	}, testenv.Logger(t), defaults)

	answer, err := server.client.Get(server.url)
	require.NoError(t, err)
	defer answer.Body.Close()
	body := bufio.NewReader(answer.Body)
	line, err := body.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "line\n", line)

	server.stop()
	_, err = body.ReadByte()
	assert.ErrorIs(t, err, io.EOF)
	assert.NoError(t, server.wait())
}

func TestStreamContext_EndsWhenTheClientLeaves(t *testing.T) {
	left := make(chan struct{})
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := StreamContext(r)
		defer cancel()
		assert.NoError(t, http.NewResponseController(w).Flush())
		<-ctx.Done()
		close(left)
	}, testenv.Logger(t), defaults)
	answer, err := server.client.Get(server.url)
	require.NoError(t, err)
	answer.Body.Close()
	<-left
}

// neverResponds is a handler that returns without a response once its context ends.
func neverResponds(started chan<- struct{}, returned *bool) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
		*returned = true
	}
}

// getError requests the server's root and sends the client's error, nil for a complete response.
func (s *served) getError() <-chan error {
	failed := make(chan error, 1)
	go func() {
		response, err := s.client.Get(s.url)
		if err == nil {
			response.Body.Close()
		}
		failed <- err
	}()
	return failed
}

func TestServe_AbortsRequestsAfterTheDrainTimeout(t *testing.T) {
	quick := defaults
	quick.drainTimeout = 20 * time.Millisecond
	started, returned := make(chan struct{}), false
	server := start(t, neverResponds(started, &returned), testenv.Logger(t), quick)
	failed := server.getError()
	<-started
	server.stop()
	assert.NoError(t, server.wait())
	assert.True(t, returned, "Serve returned before the handler")
	assert.Error(t, <-failed)
}

// slowClosing is a listener whose connections close late: after a first write, or when they are closed a second time.
type slowClosing struct{ net.Listener }

type slowClosingConn struct {
	net.Conn
	closes  atomic.Int64
	proceed func() // lets the first Close proceed
	waiting chan struct{}
}

func (l slowClosing) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	waiting := make(chan struct{})
	return &slowClosingConn{Conn: conn, waiting: waiting, proceed: sync.OnceFunc(func() { close(waiting) })}, nil
}

func (c *slowClosingConn) Write(p []byte) (int, error) {
	defer c.proceed()
	return c.Conn.Write(p)
}

func (c *slowClosingConn) Close() error {
	if c.closes.Add(1) > 1 {
		c.proceed()
	}
	<-c.waiting
	return c.Conn.Close()
}

// A handler that returns before Serve has closed its connection must not seem to have completed with an empty 200.
func TestServe_AbortsResponsesBeforeItClosesConnections(t *testing.T) {
	quick := defaults
	quick.drainTimeout = 20 * time.Millisecond
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	started, returned := make(chan struct{}), false
	server := startOn(t, slowClosing{inner}, neverResponds(started, &returned), testenv.Logger(t), quick)
	failed := server.getError()
	<-started
	server.stop()
	assert.NoError(t, server.wait())
	assert.Error(t, <-failed)
}

func TestServe_ReturnsNilIfItsContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, Serve(ctx, listener, http.NotFoundHandler(), testenv.Logger(t)))
	_, err = listener.Accept()
	assert.ErrorIs(t, err, net.ErrClosed)
}

// broken is a listener that fails at once.
type broken struct{ net.Listener }

var errBroken = errors.New("too many open files")

func (broken) Accept() (net.Conn, error) { return nil, errBroken }

func TestServe_ReturnsTheListenersError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	err = Serve(t.Context(), broken{listener}, http.NotFoundHandler(), testenv.Logger(t))
	assert.ErrorIs(t, err, errBroken)
	assert.ErrorContains(t, err, listener.Addr().String())
}

// A connection that has sent nothing, such as a browser's or a health check's, is nothing to wait for.
func TestServe_ClosesSilentConnections(t *testing.T) {
	log, _ := logged()
	patient := defaults
	patient.drainTimeout = time.Hour
	server := start(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, log, patient)
	silent, err := net.Dial("tcp", strings.TrimPrefix(server.url, "http://"))
	require.NoError(t, err)
	defer silent.Close()
	server.get(t, "/") // accepted after the silent one
	server.stop()
	assert.NoError(t, server.wait())
}
