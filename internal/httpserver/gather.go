package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
)

// WriteAndFlush writes p and flushes it, in one system call where w is Serve's own: left to itself, net/http sends a piece of an
// answer without an end in up to four, and a thousand clients that follow the same events cost as many more. HTTP/2 gathers by
// itself, and what is held back there would hold up the connection's other requests.
func WriteAndFlush(w http.ResponseWriter, p []byte) error {
	a, served := w.(*answer)
	if !served || a.conn == nil {
		if _, err := w.Write(p); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	a.conn.hold(a.extend)
	a.sending = true
	_, err := a.Write(p)
	if err == nil {
		err = a.controller.Flush() // its deadline is a.Write's
	}
	err = errors.Join(err, a.conn.release())
	a.sending = false
	a.relax()
	return err
}

// gathering is a connection that can hold back what is written to it.
type gathering struct {
	net.Conn

	mu     sync.Mutex
	held   *[]byte // nil when nothing is to be held back
	extend func()  // gives the client its time for one more piece
	err    error   // the first of Write's: what comes after a gap must not be sent
}

// mostHeld is what is held back of one answer, in bytes; what is more is sent before.
const mostHeld = 128 << 10

// buffers are few, though there may be thousands of streams.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (g *gathering) hold(extend func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.extend = extend
	if g.held == nil {
		g.held = buffers.Get().(*[]byte)
	}
}

// release sends what is held back.
func (g *gathering) release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return g.err
	}
	g.send(*g.held)
	*g.held = (*g.held)[:0]
	buffers.Put(g.held)
	g.held = nil
	return g.err
}

func (g *gathering) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return g.send(p)
	}
	if len(*g.held)+len(p) > mostHeld {
		g.send(*g.held)
		*g.held = (*g.held)[:0]
		if len(p) > mostHeld {
			return g.send(p)
		}
	}
	*g.held = append(*g.held, p...)
	return len(p), g.err
}

// send writes p in pieces, so that a client has the time for each of them.
func (g *gathering) send(p []byte) (sent int, err error) {
	for first := true; g.err == nil && len(p) > 0; first = false {
		if !first && g.extend != nil {
			g.extend()
		}
		var n int
		n, g.err = g.Conn.Write(p[:min(len(p), piece)])
		sent, p = sent+n, p[n:]
	}
	return sent, g.err
}

// CloseWrite is what net/http looks for, to end a connection without a reset.
func (g *gathering) CloseWrite() error {
	if conn, can := g.Conn.(interface{ CloseWrite() error }); can {
		return conn.CloseWrite()
	}
	return nil
}

// gatheringListener makes connections that can gather.
type gatheringListener struct{ net.Listener }

func (l gatheringListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gathering{Conn: conn}, nil
}

type connectionKey struct{}

// withConnection lets guard find the connection of a request, below TLS where there is that.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	if secured, is := conn.(*tls.Conn); is {
		conn = secured.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, conn)
}
