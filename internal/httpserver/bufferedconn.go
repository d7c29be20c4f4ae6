package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
)

// WriteAndFlush writes p and flushes it, over HTTP/1.1 in one system call. Without it, net/http sends one piece of a
// stream in up to four, which is too slow for a thousand clients that follow the same events. HTTP/2 gathers frames
// itself, and bytes held back there would delay the connection's other requests.
func WriteAndFlush(w http.ResponseWriter, p []byte) error {
	r, served := w.(*response)
	if !served || r.conn == nil {
		if _, err := w.Write(p); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	r.conn.startBuffering(r.extendDeadline)
	r.buffering = true
	_, err := r.Write(p)
	if err == nil {
		err = r.controller.Flush() // under the deadline that r.Write has set
	}
	err = errors.Join(err, r.conn.flush())
	r.buffering = false
	r.clearDeadline()
	return err
}

// bufferedConn is a connection that can hold written bytes back until it is flushed.
type bufferedConn struct {
	net.Conn

	mu             sync.Mutex
	buffer         *[]byte // nil while bytes are written at once
	extendDeadline func()  // gives the client time for one more piece
	err            error   // the first error of Write: bytes after a gap must not be sent
}

// maxBuffered is how many bytes are held back at most; more are sent at once.
const maxBuffered = 128 << 10

// buffers are few, even if there are thousands of streams.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (c *bufferedConn) startBuffering(extendDeadline func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extendDeadline = extendDeadline
	if c.buffer == nil {
		c.buffer = buffers.Get().(*[]byte)
	}
}

// flush sends the buffered bytes and stops buffering.
func (c *bufferedConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffer == nil {
		return c.err
	}
	c.writePieces(*c.buffer)
	*c.buffer = (*c.buffer)[:0]
	buffers.Put(c.buffer)
	c.buffer = nil
	return c.err
}

func (c *bufferedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffer == nil {
		return c.writePieces(p)
	}
	if len(*c.buffer)+len(p) > maxBuffered {
		c.writePieces(*c.buffer)
		*c.buffer = (*c.buffer)[:0]
		if len(p) > maxBuffered {
			return c.writePieces(p)
		}
	}
	*c.buffer = append(*c.buffer, p...)
	return len(p), c.err
}

// writePieces writes p in pieces and gives the client the full write timeout for each of them.
func (c *bufferedConn) writePieces(p []byte) (written int, err error) {
	for first := true; c.err == nil && len(p) > 0; first = false {
		if !first && c.extendDeadline != nil {
			c.extendDeadline()
		}
		var n int
		n, c.err = c.Conn.Write(p[:min(len(p), pieceSize)])
		written += n
		p = p[n:]
	}
	return written, c.err
}

// CloseWrite lets net/http end a connection without a reset.
func (c *bufferedConn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return nil
}

// bufferedListener accepts bufferedConns.
type bufferedListener struct{ net.Listener }

func (l bufferedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &bufferedConn{Conn: conn}, nil
}

type connectionKey struct{}

// withConnection stores a request's connection, below TLS, in its context, where guard finds it.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, conn)
}
