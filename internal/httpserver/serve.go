// Package httpserver serves the APIs of Blox: limits for every client, clean paths, a log of requests, a graceful end,
// and the ways in which both services answer.
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

// settings are the same for both services, but for failure; tests have shorter times.
type settings struct {
	header time.Duration // to send a request's header in
	body   time.Duration // to send a request's header and body in
	write  time.Duration // to take 64 KiB of an answer in; there is none for the answer as a whole
	idle   time.Duration // between two requests on one connection
	drain  time.Duration // for requests under way when the server stops
	most   int64         // connections at a time; 0 for any number

	failure string // what clients are told when a handler panics
	observe func(r *http.Request, code int, took time.Duration)
	tls     *tls.Config // nil for plain http
}

var production = settings{
	header: 10 * time.Second,
	body:   30 * time.Second,
	write:  10 * time.Second,
	idle:   2 * time.Minute,
	drain:  5 * time.Second,
	most:   mostConnections(),

	failure: http.StatusText(http.StatusInternalServerError),
	observe: func(*http.Request, int, time.Duration) {},
}

// Option changes how Serve serves.
type Option func(*settings)

// WithPanicText sets the text of the 500 that clients get when a handler panics.
func WithPanicText(text string) Option { return func(s *settings) { s.failure = text } }

// WithTLS serves https with cfg, which says whether it is HTTP/2 too.
func WithTLS(cfg *tls.Config) Option { return func(s *settings) { s.tls = cfg } }

const (
	maxHeader = 64 << 10 // bytes, of a request's line and header
	maxBody   = 1 << 20  // bytes
)

// Serve answers requests on listener until ctx ends, within limits that no handler has to think of: 10 s and 64 KiB for a
// header, 1 MiB for a body and 30 s for both, 10 s for the client to take each 64 KiB of the answer, which may be endless. A
// handler that panics answers 500. Connections beyond what the process has descriptors for are closed at once. Every request is
// logged, at debug when all is well.
//
// When ctx ends Serve accepts no more, streams end (see Streaming), and requests under way have 5 s to finish before their
// contexts and connections are cut. It returns nil when the last handler has returned, and an error, with every
// connection cut, when listener fails. It closes listener.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log logrus.FieldLogger, options ...Option) error {
	s := production
	for _, set := range options {
		set(&s)
	}
	return serve(ctx, listener, handler, log, s)
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler, log logrus.FieldLogger, s settings) error {
	requests, cut := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), stoppingKey{}, ctx))
	defer cut()
	connections, running := &connections{crowd: crowd{most: s.most, log: log}}, &gate{}
	server := &http.Server{
		Handler:           running.pass(guard(handler, log, s)),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withConnection,
		ConnState:         connections.track,
		ReadHeaderTimeout: s.header,
		ReadTimeout:       s.body, // which net/http lifts once the body is read, so streams may last
		IdleTimeout:       s.idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          debugLog(log),
		// Over HTTP/2 a client that takes nothing at all would keep even the end of a stream from being sent.
		HTTP2: &http.HTTP2Config{WriteByteTimeout: s.write},
	}
	server.RegisterOnShutdown(connections.closeSilent)
	stopped := make(chan struct{})
	end := context.AfterFunc(ctx, func() {
		defer close(stopped)
		inTime, cancel := context.WithTimeout(requests, s.drain)
		defer cancel()
		if err := server.Shutdown(inTime); err != nil {
			log.WithError(err).Warn("requests are cut off")
		}
	})
	// TLS is above what gathers, so that records that belong together are sent together; and net/http takes nothing
	// but a *tls.Conn for HTTP/2.
	inner := net.Listener(gatheringListener{listener})
	if s.tls != nil {
		inner = tls.NewListener(inner, s.tls)
	}
	err := server.Serve(inner)
	if !end() {
		<-stopped
	}
	cut()
	_ = server.Close() // what is left after the drain time
	connections.Wait()
	running.close()
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", listener.Addr(), err)
}

// gate waits for handlers. Over HTTP/2 they may outlive their connection, and begin after it has ended.
type gate struct {
	sync.RWMutex
	closed bool
}

func (g *gate) pass(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.RLock()
		defer g.RUnlock()
		if !g.closed {
			next.ServeHTTP(w, r)
		}
	})
}

func (g *gate) close() {
	g.Lock()
	defer g.Unlock()
	g.closed = true
}

// connections waits for the goroutine of every connection, and so for every handler of HTTP/1.1.
type connections struct {
	sync.WaitGroup
	crowd  crowd
	silent sync.Map // those that have not sent a byte yet, which Shutdown alone would wait for
}

func (c *connections) track(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew: // called before server.Serve can return
		c.Add(1)
		c.silent.Store(conn, nil)
		if !c.crowd.come() {
			_ = conn.Close()
		}
	case http.StateActive:
		c.silent.Delete(conn)
	case http.StateClosed, http.StateHijacked:
		c.silent.Delete(conn)
		c.crowd.leave()
		c.Done()
	}
}

func (c *connections) closeSilent() {
	c.silent.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
}

type stoppingKey struct{}

// StreamContext is the context for an answer that has no end of its own: it ends when the client leaves and also when the
// server begins to stop, while r.Context() lets a request that is under way finish. The caller calls cancel.
func StreamContext(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	stopping, served := ctx.Value(stoppingKey{}).(context.Context)
	if !served { // by httptest
		return ctx, cancel
	}
	forget := context.AfterFunc(stopping, cancel)
	return ctx, func() { forget(); cancel() }
}

// debugLog is where net/http tells of broken connections, which are their clients' matter.
func debugLog(to logrus.FieldLogger) *log.Logger {
	return log.New(writerFunc(func(line []byte) (int, error) {
		to.WithField("detail", strings.TrimSpace(string(line))).Debug("connection")
		return len(line), nil
	}), "", 0)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
