// Package httpserver serves Blox's HTTP APIs: limits for every client, redirects to clean paths, request logs and
// metrics, graceful shutdown, and responses in the format that all services share.
package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// IdleTimeout is how long a connection may be idle between two requests. The idle timeout of a load balancer or proxy
// in front of a service must be shorter, else it sends requests on connections that the service closes.
const IdleTimeout = 2 * time.Minute

// settings are the same for all services unless an Option changes one. Tests use shorter timeouts.
type settings struct {
	headerTimeout  time.Duration // for a request's header
	bodyTimeout    time.Duration // for a request's header and body
	writeTimeout   time.Duration // for the client to take 64 KiB of a response; a whole response has no limit
	idleTimeout    time.Duration // between two requests on one connection
	drainTimeout   time.Duration // for requests in flight when the server stops
	maxConnections int64         // at a time; 0 for no limit

	panicText string // the text of the 500 that clients get when a handler panics
	observe   func(r *http.Request, code int, took time.Duration)
	tls       *tls.Config // nil for plain HTTP
	authorize func(http.ResponseWriter, *http.Request) (*http.Request, bool)
}

var defaults = settings{
	headerTimeout:  10 * time.Second,
	bodyTimeout:    30 * time.Second,
	writeTimeout:   10 * time.Second,
	idleTimeout:    IdleTimeout,
	drainTimeout:   5 * time.Second,
	maxConnections: maxConnections(),

	panicText: http.StatusText(http.StatusInternalServerError),
	observe:   func(*http.Request, int, time.Duration) {},
	authorize: func(_ http.ResponseWriter, r *http.Request) (*http.Request, bool) { return r, true },
}

// Option changes how Serve serves.
type Option func(*settings)

// WithPanicText sets the text of the 500 that clients get when a handler panics.
func WithPanicText(text string) Option { return func(s *settings) { s.panicText = text } }

// WithBodyTimeout sets the time for a request's header and body.
func WithBodyTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.bodyTimeout = timeout }
}

// WithTLS serves HTTPS with cfg, whose NextProtos decide about HTTP/2.
func WithTLS(cfg *tls.Config) Option { return func(s *settings) { s.tls = cfg } }

// WithAuthorization calls authorize before a request's handler. Authorize returns the request with the client's
// identity (see WithIdentity) and whether the handler may serve it. If not, authorize has responded.
func WithAuthorization(authorize func(http.ResponseWriter, *http.Request) (*http.Request, bool)) Option {
	return func(s *settings) { s.authorize = authorize }
}

// WithConnectionShare limits the listener to a part of the connections that the process may have.
func WithConnectionShare(share float64) Option {
	return func(s *settings) {
		if s.maxConnections > 0 {
			s.maxConnections = max(1, int64(share*float64(s.maxConnections)))
		}
	}
}

const (
	maxHeader = 64 << 10 // bytes of a request's line and header
	maxBody   = 1 << 20  // bytes
)

// errAborted is why the context of a request ends that is still in flight after the drain timeout.
var errAborted = errors.New("the server aborts its requests")

// Serve serves requests on listener until ctx ends, within limits that hold for every handler: 10 s and 64 KiB for a
// header, 1 MiB for a body and 30 s for both, and 10 s for the client to take each 64 KiB of a response, which may be
// endless. A handler that panics responds with 500. Connections for which the process has no file descriptors are
// closed at once. Requests are logged with their ids at debug level, those that may change something at info level, and
// failed ones at warning level. Every response has an X-Request-Id.
//
// When ctx ends, Serve accepts no more connections, streams end (see StreamContext), and requests in flight have 5 s to
// finish. Then their contexts end and their responses are aborted. Serve returns nil after the last handler has
// returned. If listener fails, Serve aborts all requests and returns an error. It closes listener.
func Serve(
	ctx context.Context, listener net.Listener, handler http.Handler, log logrus.FieldLogger, options ...Option,
) error {
	s := defaults
	for _, set := range options {
		set(&s)
	}
	return serve(ctx, listener, handler, log, s)
}

func serve(
	ctx context.Context, listener net.Listener, handler http.Handler, log logrus.FieldLogger, s settings,
) error {
	requests, abort := context.WithCancelCause(context.WithValue(context.WithoutCancel(ctx), stoppingKey{}, ctx))
	defer abort(errAborted)
	conns := &connections{limiter: connLimiter{limit: s.maxConnections, log: log}}
	handlers := &inflight{}
	server := newServer(requests, handlers.track(guard(handler, log, s)), conns, log, s)
	stopped := make(chan struct{})
	cancelStop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		drain, cancel := context.WithTimeout(requests, s.drainTimeout)
		defer cancel()
		if err := server.Shutdown(drain); err != nil {
			log.WithError(err).Warn("requests aborted after the drain timeout")
		}
	})
	// TLS is above the bufferedConn, so that the records of one write are sent together. Net/http needs a *tls.Conn for
	// HTTP/2.
	inner := net.Listener(bufferedListener{listener})
	if s.tls != nil {
		inner = tls.NewListener(inner, s.tls)
	}
	err := server.Serve(inner)
	if !cancelStop() {
		<-stopped
	}
	// Guard aborts the responses of the handlers that return now. Otherwise one that returns before its connection is
	// closed would seem to have completed.
	abort(errAborted)
	_ = server.Close()
	conns.Wait()
	handlers.wait()
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", listener.Addr(), err)
}

func newServer(
	requests context.Context, handler http.Handler, conns *connections, log logrus.FieldLogger, s settings,
) *http.Server {
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withConnection,
		ConnState:         conns.track,
		ReadHeaderTimeout: s.headerTimeout,
		ReadTimeout:       s.bodyTimeout, // net/http lifts it once the body is read, so streams may last
		IdleTimeout:       s.idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          debugLog(log),
		// Over HTTP/2, a client that reads nothing would otherwise delay even the end of a stream forever.
		HTTP2: &http.HTTP2Config{WriteByteTimeout: s.writeTimeout},
	}
	server.RegisterOnShutdown(conns.closeSilent)
	return server
}

// inflight waits for handlers. Over HTTP/2 a handler may outlive its connection, or start after the connection's end.
type inflight struct {
	mu     sync.RWMutex
	closed bool
}

func (i *inflight) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.RLock()
		defer i.mu.RUnlock()
		if !i.closed {
			next.ServeHTTP(w, r)
		}
	})
}

// wait returns after the last handler has returned. No handler starts after that.
func (i *inflight) wait() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
}

// connections waits for the goroutines of all connections, and so for every handler of HTTP/1.1.
type connections struct {
	sync.WaitGroup
	limiter connLimiter
	silent  sync.Map // connections that have not sent a byte yet; Shutdown alone would wait for them
}

func (c *connections) track(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew: // called before server.Serve can return
		c.Add(1)
		c.silent.Store(conn, nil)
		if !c.limiter.acquire() {
			_ = conn.Close()
		}
	case http.StateActive:
		c.silent.Delete(conn)
	case http.StateClosed, http.StateHijacked:
		c.silent.Delete(conn)
		c.limiter.release()
		c.Done()
	}
}

func (c *connections) closeSilent() {
	c.silent.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
}

type stoppingKey struct{}

// StreamContext returns a context for a response without an end of its own. It ends when the client leaves, when the
// client's access is revoked, or when the server begins to stop, while r.Context() lets a request in flight finish. The
// caller calls cancel. See httpstream.
func StreamContext(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	unwatch := func() bool { return false }
	if client, known := identity(r); known && client.Valid != nil {
		unwatch = context.AfterFunc(client.Valid, cancel)
	}
	stopping, served := ctx.Value(stoppingKey{}).(context.Context)
	if !served { // the server is httptest's
		return ctx, func() { unwatch(); cancel() }
	}
	unregister := context.AfterFunc(stopping, cancel)
	return ctx, func() { unwatch(); unregister(); cancel() }
}

// debugLog receives net/http's messages about broken connections, which are the clients' affair.
func debugLog(to logrus.FieldLogger) *log.Logger {
	return log.New(writerFunc(func(line []byte) (int, error) {
		to.WithField("detail", strings.TrimSpace(string(line))).Debug("connection failed")
		return len(line), nil
	}), "", 0)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
